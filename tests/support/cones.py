"""What an output depends on combinationally."""

from amaranth.back import rtlil

from hdl.flow import tools


def cone(top, wire):
    """Ports of `top` on which `wire` depends combinationally: Yosys follows every cell but flip-flops."""
    with tools.work_folder("cone") as folder:
        (folder / "design.il").write_text(rtlil.convert(top, emit_src=False))
        stops = "-$dff,$dffe,$sdff,$sdffe,$sdffce,$_DFF_P_"
        script = [
            "read_rtlil design.il",
            "flatten",
            "proc",
            "memory_dff",
            "memory_map",
            "opt -full",
            f"select -assert-min 1 w:{wire}",
            f"select -set cone w:{wire} %ci*:{stops}",
            "select -write ports.txt i:* @cone %i",
        ]
        tools.yosys("\n".join(script) + "\n", folder)
        return {line.split("/")[-1] for line in (folder / "ports.txt").read_text().split()}
