package mean_types_pkg;
  `include "mean_types.svh"
endpackage
