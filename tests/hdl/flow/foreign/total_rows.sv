// One sum per row; told where a row ends, does not tell itself. FAULT 1: the accumulator has 17 bits, two too few.
// FAULT 2: it is not cleared by rows of one element.
module total_rows #(
    parameter int FAULT = 0
) (
    input  logic               clk,
    input  logic               rst,
    input  logic               x_valid,
    output logic               x_ready,
    input  logic signed [15:0] x,
    input  logic               x_last,
    output logic               sum_valid,
    input  logic               sum_ready,
    output logic signed [18:0] sum
);
  logic fresh;
  logic signed [18:0] acc, next;
  assign next = FAULT == 1 ? 19'(17'(acc + x)) : acc + x;
  assign x_ready = !sum_valid || sum_ready;
  always_ff @(posedge clk) begin
    if (x_ready) begin
      sum_valid <= x_valid && x_last;
      sum <= FAULT == 1 ? 19'($signed(next[16:0])) : next;
      if (x_valid) begin
        acc <= x_last && !(FAULT == 2 && fresh) ? '0 : next;
        fresh <= x_last;
      end
    end
    if (rst) begin
      sum_valid <= 1'b0;
      acc <= '0;
      fresh <= 1'b1;
    end
  end
endmodule
