// Package bench measures fleetfold beside what the machine and the bus can do
// without it: `fleetfold bench`.
//
// # What a row says
//
// A Row is one measured value. Most rows have a floor, which is the same thing
// done bare: the same messages, sizes, acknowledgements and order through the
// NATS client alone, with nothing of fleetfold in between ([floor] does that).
// Floor and value are measured in turns within the same run and on the same
// server, so that a noisy machine disturbs both alike; their ratio is what
// counts, and an absolute number is only shown. Where more is better the ratio
// says how much of the floor is reached, where less is better how many times
// the floor it takes.
//
// # In which order things happen
//
// The benchmarks run one after the other, each in a folder of its own that is
// removed afterwards. Nothing else runs in the process meanwhile. One that
// fails ends the run; what was measured before it is kept.
//
// # What the caller must do
//
// Let the machine be idle. Two runs at once measure each other.
//
// # What it never does
//
// It judges nothing: a row says what must be reached, and a person or CI
// compares. It leaves nothing behind, and reaches no server but those that it
// starts itself.
package bench
