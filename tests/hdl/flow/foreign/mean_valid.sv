// Valid without ready; asynchronous reset, active low.
// FAULT 1: valid is delayed by two cycles, data by one. FAULT 2: one answer is lost, that to a = b = 7.
module mean_valid #(
    parameter int FAULT = 0
) (
    input  logic              clk_i,
    input  logic              rst_ni,
    input  logic              vld_i,
    input  logic signed [5:0] a_i,
    input  logic        [4:0] b_i,
    input  logic              en_i,
    output logic              vld_o,
    output logic signed [5:0] y_o
);
  logic signed [6:0] total;
  logic vld_q;
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      total <= '0;
      vld_q <= 1'b0;
      vld_o <= 1'b0;
      y_o   <= '0;
    end else if (en_i) begin
      total <= a_i + $signed({2'b00, b_i});
      vld_q <= vld_i && !(FAULT == 2 && a_i == 7 && b_i == 7);
      vld_o <= vld_q;
      y_o   <= FAULT == 1 ? 6'((a_i + $signed({2'b00, b_i})) >>> 1) : 6'(total >>> 1);
    end
  end
endmodule
