// Rows with `last` on both sides, valid and ready. FAULT 1: after a row of one element the next row keeps its first.
// FAULT 2: `last` is lost on rows of three.
module rows_last #(
    parameter int FAULT = 0
) (
    input  logic              clk,
    input  logic              rst_n,
    input  logic              in_valid,
    output logic              in_ready,
    input  logic signed [7:0] in_data,
    input  logic              in_last,
    output logic              out_valid,
    input  logic              out_ready,
    output logic signed [8:0] out_data,
    output logic              out_last
);
  logic start;
  logic [4:0] count;
  logic signed [7:0] first, base;
  assign base = start ? in_data : first;
  assign in_ready = !out_valid || out_ready;
  always_ff @(posedge clk) begin
    if (in_ready) begin
      out_valid <= in_valid;
      out_data <= in_data - base;
      out_last <= in_last && !(FAULT == 2 && count == 2);
      if (in_valid) begin
        first <= base;
        start <= in_last && !(FAULT == 1 && start);
        count <= in_last ? '0 : count + 1'b1;
      end
    end
    if (!rst_n) begin
      out_valid <= 1'b0;
      start <= 1'b1;
      count <= '0;
    end
  end
endmodule
