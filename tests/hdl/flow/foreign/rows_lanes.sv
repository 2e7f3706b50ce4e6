// Four lanes per transfer in one packed port, with a bit per lane that holds an element; combinational but for `first`.
// FAULT 1: the last lane is taken from the third.
module rows_lanes #(
    parameter int FAULT = 0
) (
    input  logic        clk,
    input  logic        rst,
    input  logic        in_valid,
    output logic        in_ready,
    input  logic [31:0] in_data,
    input  logic [3:0]  in_keep,
    input  logic        in_last,
    output logic        out_valid,
    input  logic        out_ready,
    output logic [35:0] out_data,
    output logic [3:0]  out_keep,
    output logic        out_last
);
  logic start;
  logic signed [7:0] first, base;
  assign base = start ? in_data[7:0] : first;
  assign in_ready = out_ready;
  assign out_valid = in_valid;
  assign out_keep = in_keep;
  assign out_last = in_last;
  for (genvar k = 0; k < 4; k++) begin : g_lane
    localparam int SOURCE = FAULT == 1 && k == 3 ? 2 : k;
    logic signed [8:0] difference;
    assign difference = $signed(in_data[8*SOURCE+:8]) - base;
    assign out_data[9*k+:9] = difference;
  end
  always_ff @(posedge clk) begin
    if (in_valid && in_ready) begin
      first <= base;
      start <= in_last;
    end
    if (rst) start <= 1'b1;
  end
endmodule
