// Two clock edges from input to output, no handshake, no reset; Verilog-2001 with a packed operand and a width as
// parameter. FAULT 1: the operands are halved before they are added.
module mean_fixed #(
    parameter AW = 8,
    parameter FAULT = 0
) (
    input                   ck,
    input  [AW+4:0]         ops,  // {b, a}
    output reg [AW-1:0]     mean
);
  wire signed [AW-1:0] a = ops[AW-1:0];
  wire signed [AW:0] b = {{(AW - 4) {1'b0}}, ops[AW+4:AW]};
  reg signed [AW:0] total;
  always @(posedge ck) begin
    total <= (FAULT == 1) ? ((a >>> 1) + (b >>> 1)) <<< 1 : a + b;
    mean  <= total >>> 1;
  end
endmodule
