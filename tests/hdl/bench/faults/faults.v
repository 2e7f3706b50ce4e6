// A uniform table y = x, 8 bits, as a two-stage pipeline with faults that a testbench can switch on.
module faults(
  input clk, input rst,
  input [7:0] s_axis_tdata, input s_axis_tvalid, output s_axis_tready,
  output [7:0] m_axis_tdata, output m_axis_tvalid, input m_axis_tready);

  localparam WRONG = 1, STUCK_DATA = 2, STUCK_IDLE = 3, RETRACTS = 4, CHANGES = 5, LOSES = 6, REPEATS = 7,
             LEFTOVER = 8, DEAF = 9;
  reg [3:0] fault;  // set by the testbench

  reg [7:0] first, second;
  reg first_valid, second_valid, waiting;
  reg [15:0] count;

  wire move = !second_valid || m_axis_tready;
  wire accept = s_axis_tvalid && s_axis_tready;
  assign s_axis_tready = move && fault != DEAF;
  assign m_axis_tvalid = second_valid && fault != STUCK_IDLE && !(fault == RETRACTS && waiting);
  assign m_axis_tdata = fault == STUCK_DATA ? 8'h2a
                      : fault == WRONG && second == 8'h81 ? second + 8'd1
                      : fault == CHANGES && waiting ? ~second
                      : second;

  always @(posedge clk) begin
    waiting <= m_axis_tvalid && !m_axis_tready;
    if (accept) count <= count + 1;
    if (move) begin
      first <= s_axis_tdata;
      first_valid <= accept && !(fault == LOSES && count == 500);
      second <= first;
      second_valid <= first_valid;
    end
    if (fault == REPEATS && count == 1000 && move) second_valid <= 1;
    if (rst) begin
      first_valid <= 0;
      second_valid <= fault == LEFTOVER && second_valid;
      waiting <= 0;
      count <= 0;
    end
  end
endmodule
