"""Linear operators on integers: matrix products, dynamic requantisation, residual adds, average pools,
convolution, embedding, rotary embedding."""

from intsim.linear.block_dot import BlockDot, BlockMatmul, PackedBlocks
from intsim.linear.block_encoder import BlockEncoder
from intsim.linear.conv import Conv2d
from intsim.linear.dynamic import DynamicRequantize
from intsim.linear.embedding import Embedding
from intsim.linear.fused import linear
from intsim.linear.hadamard import Hadamard
from intsim.linear.illm import DIMatMul, DIResidualAdd
from intsim.linear.matmul import PackedWeights, accumulator_bits, matmul, pack
from intsim.linear.pool import AveragePool, average_pool
from intsim.linear.rope import PairRotation, RoPE
from intsim.requant.residual import ResidualAdd

__all__ = [
    "AveragePool",
    "BlockDot",
    "BlockEncoder",
    "BlockMatmul",
    "Conv2d",
    "DIMatMul",
    "DIResidualAdd",
    "DynamicRequantize",
    "Embedding",
    "Hadamard",
    "PackedBlocks",
    "PackedWeights",
    "PairRotation",
    "ResidualAdd",
    "RoPE",
    "accumulator_bits",
    "average_pool",
    "linear",
    "matmul",
    "pack",
]
