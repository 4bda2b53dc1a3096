// Package eventlog is the fleet's one ordered log and the only door to NATS.
//
// The log: Append stores events atomically and under conditions, Read and
// Follow return them in the one order there is. Memory and Bus are two
// implementations that pass the same contract.
//
// Around the log, Bus offers what agents and services say to each other that
// is not history: leases, credential statements, commands, and the texts of
// inventories by digest. What its Check and Ask functions tell of streams,
// consumers and servers changes nothing.
package eventlog
