// Valid and ready on both sides, a packed structure from a package, synchronous reset.
// FAULT 1: the answer is not held while it waits. FAULT 2: after a = -32 nothing more is taken.
// FAULT 3: valid is never raised. FAULT 4: every answer is given twice.
module mean_stream
  import mean_types_pkg::*;
#(
    parameter int FAULT = 0
) (
    input  logic              clk,
    input  logic              reset,
    input  operands_t         ops,
    input  logic              ops_valid,
    output logic              ops_ready,
    output logic signed [5:0] mean,
    output logic              mean_valid,
    input  logic              mean_ready
);
  logic full, stopped, again;
  assign ops_ready = (!full || mean_ready && !again) && !stopped;
  assign mean_valid = full && FAULT != 3;
  logic signed [6:0] total;
  assign total = ops.a + $signed({2'b00, ops.b});
  always_ff @(posedge clk) begin
    if (mean_valid && mean_ready) begin
      full  <= again;
      again <= 1'b0;
    end
    if (ops_valid && ops_ready) begin
      full    <= 1'b1;
      again   <= FAULT == 4;
      stopped <= FAULT == 2 && ops.a == -32;
    end
    if (ops_valid && ops_ready || FAULT == 1) mean <= 6'(total >>> 1);
    if (reset) begin
      full    <= 1'b0;
      stopped <= 1'b0;
      again   <= 1'b0;
    end
  end
endmodule
