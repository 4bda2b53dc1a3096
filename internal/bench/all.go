package bench

import "slices"

// All are the benchmarks, in the order in which they run.
func All() []Benchmark {
	return slices.Concat(
		engineBenchmarks(),
		standingBenchmarks(),
		foldBenchmarks(),
		loopBenchmarks(),
		executorBenchmarks(),
		presenceBenchmarks(),
		convergeBenchmarks(),
	)
}

// Rows are those of all benchmarks, in order.
func Rows() (rows []Row) {
	for _, b := range All() {
		rows = append(rows, b.Rows...)
	}
	return rows
}

// ratio and value are shorthand for what a row must reach.
func ratioAtLeast(must, aim float64) Bound {
	return Bound{Must: must, Aim: aim, OfRatio: true, AtLeast: true}
}
func ratioAtMost(must, aim float64) Bound { return Bound{Must: must, Aim: aim, OfRatio: true} }
func atLeast(must, aim float64) Bound     { return Bound{Must: must, Aim: aim, AtLeast: true} }
func atMost(must, aim float64) Bound      { return Bound{Must: must, Aim: aim} }
