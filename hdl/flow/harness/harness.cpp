// Drives any unit's AXI4-Stream shell with packed beats and collects what it answers. One harness for all units and
// for two simulators. The widths come as macros: IN_DATA, IN_KEEP, IN_LAST, OUT_DATA, OUT_KEEP, OUT_LAST (bytes; zero
// where the port does not exist). A beat in memory is data, keep, last, without gaps. Little-endian hosts only.
#include <cstdint>
#include <cstring>
#include <memory>

#ifdef WITH_VERILATOR
#include "Vdut.h"
#include "verilated.h"
#ifdef WITH_TRACE
#include "verilated_vcd_c.h"
#endif
#define PORT(flat, doubled) top.flat
#else
#include "design.cc"
#define PORT(flat, doubled) top.p_##doubled
#endif

namespace {

constexpr int64_t IN_BEAT = IN_DATA + IN_KEEP + IN_LAST;
constexpr int64_t OUT_BEAT = OUT_DATA + OUT_KEEP + OUT_LAST;

#ifdef WITH_VERILATOR
template <class T> uint8_t *bytes(T &port) { return reinterpret_cast<uint8_t *>(&port); }
#else
template <size_t N> uint8_t *bytes(cxxrtl::value<N> &port) { return reinterpret_cast<uint8_t *>(port.data); }
template <size_t N> uint8_t *bytes(cxxrtl::wire<N> &port) { return reinterpret_cast<uint8_t *>(port.curr.data); }
#endif
template <class T> void put(T &port, uint8_t bit) { *bytes(port) = bit; }
template <class T> bool get(T &port) { return *bytes(port) & 1; }

struct Dut {
#ifdef WITH_VERILATOR
    VerilatedContext context;
    Vdut top{&context};
    void settle() { top.eval(); }
#ifdef WITH_TRACE
    std::unique_ptr<VerilatedVcdC> vcd;
    uint64_t time = 0;
    Dut() { context.traceEverOn(true); }
    void open(const char *path) {
        vcd.reset(new VerilatedVcdC);
        top.trace(vcd.get(), 99);
        vcd->open(path);
    }
    void close() {
        if (vcd) vcd->close();
        vcd.reset();
    }
    void dump() {
        if (vcd) vcd->dump(time);
        time += 5;
    }
#else
    void dump() {}
#endif
#else
    cxxrtl_design::DESIGN top;
    void settle() { top.step(); }
    void dump() {}
#endif
    // Inputs are settled with the clock low, then the edge; a cycle ends with the clock high.
    void low() {
        put(PORT(clk, clk), 0);
        settle();
        dump();
    }
    void edge() {
        put(PORT(clk, clk), 1);
        settle();
        dump();
    }
    void idle() {
        put(PORT(s_axis_tvalid, s__axis__tvalid), 0);
        put(PORT(m_axis_tready, m__axis__tready), 0);
        nothing();
    }
    // Between transfers the lines hold a fixed nonsense, `last` the opposite of what it was: whoever reads them then
    // is found, and every time.
    void nothing() {
        std::memset(bytes(PORT(s_axis_tdata, s__axis__tdata)), 0xA5, IN_DATA);
#if IN_LAST
        put(PORT(s_axis_tlast, s__axis__tlast), !get(PORT(s_axis_tlast, s__axis__tlast)));
#endif
    }
    void reset(int cycles) {
        idle();
#ifdef RESET_WITHOUT_CLOCK
        // An asynchronous reset must do its work before the first clock edge, by its own edge.
        for (int level = 0; level < 2; level++) {
            put(PORT(rst, rst), level);
            low();
        }
        (void)cycles;
#else
        put(PORT(rst, rst), 1);
        for (int k = 0; k < cycles; k++) { low(); edge(); }
#endif
        put(PORT(rst, rst), 0);
    }
    void offer(const uint8_t *beat) {
        std::memcpy(bytes(PORT(s_axis_tdata, s__axis__tdata)), beat, IN_DATA);
#if IN_KEEP
        std::memcpy(bytes(PORT(s_axis_tkeep, s__axis__tkeep)), beat + IN_DATA, IN_KEEP);
#endif
#if IN_LAST
        put(PORT(s_axis_tlast, s__axis__tlast), beat[IN_DATA + IN_KEEP]);
#endif
    }
    void take(uint8_t *beat) {
        std::memcpy(beat, bytes(PORT(m_axis_tdata, m__axis__tdata)), OUT_DATA);
#if OUT_KEEP
        std::memcpy(beat + OUT_DATA, bytes(PORT(m_axis_tkeep, m__axis__tkeep)), OUT_KEEP);
#endif
#if OUT_LAST
        beat[OUT_DATA + OUT_KEEP] = get(PORT(m_axis_tlast, m__axis__tlast));
#endif
    }
};

struct Random {  // xorshift64*
    uint64_t state;
    uint32_t next() {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        return uint32_t((state * 0x2545F4914F6CDD1Dull) >> 32);
    }
};

}  // namespace

extern "C" {

struct Job {
    const uint8_t *in;
    int64_t in_beats;
    uint8_t *out;
    int64_t capacity;   // beats that fit `out`
    int64_t expected;   // answers to wait for: beats, or rows where the output has `last`
    int64_t timeout;    // cycles without any transfer
    int64_t drain;      // cycles to look for answers nobody asked for
    int64_t stall_in, stall_out;  // probability of a pause, in units of 2**-32
    uint64_t seed;
    // results
    int64_t cycles, accepted, out_beats, answers, first_answer;
};

enum Outcome { DONE = 0, TIMEOUT = 1, TOO_MANY = 2, UNSTABLE = 3 };

Dut *dut_create() { return new Dut; }
void dut_destroy(Dut *dut) { delete dut; }

#if defined(WITH_VERILATOR) && defined(WITH_TRACE)
void dut_trace(Dut *dut, const char *path) {
    if (path) dut->open(path);
    else dut->close();
}
#endif

}  // extern "C"

namespace {

template <bool STALLS> int drive(Dut &dut, Job &job) {
    auto &top = dut.top;
    (void)top;
    Random random{job.seed * 2 + 1};
    uint8_t held[OUT_BEAT], now[OUT_BEAT];
    bool holding = false, offering = false;
    int64_t sent = 0, got = 0, answers = 0, quiet = 0, cycle = 0;
    job.first_answer = -1;
    int outcome = DONE;
    int64_t after = 0;
    for (;; cycle++) {
        const bool finished = sent == job.in_beats && answers >= job.expected;
        if (finished && after++ >= job.drain) break;
        // A beat once offered stays until it is taken.
        if (!offering && sent < job.in_beats && !(STALLS && random.next() < (uint64_t)job.stall_in)) {
            dut.offer(job.in + sent * IN_BEAT);
            offering = true;
        }
        const bool ready = !(STALLS && random.next() < (uint64_t)job.stall_out);
        put(dut.PORT(s_axis_tvalid, s__axis__tvalid), offering);
        put(dut.PORT(m_axis_tready, m__axis__tready), ready);
        dut.low();
        const bool taken = offering && get(dut.PORT(s_axis_tready, s__axis__tready));
        const bool valid = get(dut.PORT(m_axis_tvalid, m__axis__tvalid));
        if (STALLS && holding) {
            dut.take(now);
            if (!valid || std::memcmp(now, held, OUT_BEAT)) { outcome = UNSTABLE; break; }
        }
        if (valid && ready) {
            if (got >= job.capacity || finished) { outcome = TOO_MANY; break; }
            uint8_t *beat = job.out + got++ * OUT_BEAT;
            dut.take(beat);
            if (job.first_answer < 0) job.first_answer = cycle;
            answers += OUT_LAST ? beat[OUT_BEAT - 1] : 1;
        } else if (STALLS && valid && !holding) {
            dut.take(held);
        }
        holding = valid && !ready;
        dut.edge();
        if (taken) {
            sent++;
            offering = false;
            if (STALLS || sent == job.in_beats) dut.nothing();
        }
        if (taken || (valid && ready)) quiet = 0;
        else if (!finished && ++quiet > job.timeout) { outcome = TIMEOUT; break; }
    }
    job.cycles = cycle - (outcome == DONE ? job.drain : 0);
    job.accepted = sent;
    job.out_beats = got;
    job.answers = answers;
    return outcome;
}

}  // namespace

extern "C" int dut_run(Dut *dut, Job *job) {
    dut->reset(4);
    return job->stall_in || job->stall_out ? drive<true>(*dut, *job) : drive<false>(*dut, *job);
}
