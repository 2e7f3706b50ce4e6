typedef struct packed {
  logic        [4:0] b;
  logic signed [5:0] a;
} operands_t;
