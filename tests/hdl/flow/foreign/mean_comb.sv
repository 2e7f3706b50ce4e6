// Combinational, split fields. FAULT 1: the unsigned operand is sign-extended.
module mean_comb #(
    parameter int FAULT = 0
) (
    input  logic signed [5:0] a_i,
    input  logic        [4:0] b_i,
    output logic signed [5:0] y_o
);
  logic signed [6:0] b_wide, total;
  assign b_wide = FAULT == 1 ? 7'($signed(b_i)) : {2'b00, b_i};
  assign total = a_i + b_wide;
  assign y_o = 6'(total >>> 1);
endmodule
