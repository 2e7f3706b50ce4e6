// Rows of N elements that the design counts itself; valid without ready. FAULT 1: counts one too few.
module rows_counted #(
    parameter int N = 8,
    parameter int FAULT = 0
) (
    input  logic              clk,
    input  logic              rst,
    input  logic              valid_i,
    input  logic signed [7:0] x_i,
    output logic              valid_o,
    output logic signed [8:0] y_o
);
  logic [$clog2(N)-1:0] count;
  logic signed [7:0] first;
  localparam int LAST = N - 1 - (FAULT == 1 ? 1 : 0);
  always_ff @(posedge clk) begin
    valid_o <= valid_i;
    y_o <= count == 0 ? 9'sd0 : x_i - first;
    if (valid_i) begin
      if (count == 0) first <= x_i;
      count <= int'(count) == LAST ? '0 : count + 1'b1;
    end
    if (rst) begin
      valid_o <= 1'b0;
      count <= '0;
    end
  end
endmodule
