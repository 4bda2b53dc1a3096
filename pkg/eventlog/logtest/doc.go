// Package logtest is the contract of eventlog.Log as tests. Every
// implementation passes Run; what Run does not ask for, no caller may rely on.
//
// A log that can also take a foreign message should have the method AppendRaw,
// as eventlog.Memory does; without it Run fails.
package logtest
