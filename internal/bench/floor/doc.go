// Package floor does with the bare NATS client what fleetfold does on the bus:
// reads a stream, lets a fact lead to a batch, takes work and acknowledges it.
// It decodes nothing, decides nothing and checks nothing, so it is what the bus
// itself can do on this machine, and nobody who uses the bus in the same way
// can be faster.
//
// It keeps what makes the comparison fair: the same message sizes, one atomic
// batch where fleetfold publishes one, a fence where it has one, an
// acknowledgement where it waits for one.
//
// What it never does: it is no part of the product's path, and nothing but
// internal/bench may use it.
package floor
