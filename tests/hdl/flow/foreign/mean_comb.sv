// Combinational, split fields, plain logic ports.
module mean_comb (
    input  logic signed [5:0] a_i,
    input  logic        [4:0] b_i,
    output logic signed [5:0] y_o
);
  logic signed [6:0] total;
  assign total = a_i + $signed({2'b00, b_i});
  assign y_o = 6'(total >>> 1);
endmodule
