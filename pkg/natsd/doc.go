// Package natsd runs a NATS server with JetStream inside the process, for the
// all-in-one command and for tests.
//
// What it acknowledges is on disk: every message is synced before the answer,
// since a log that can lose an acknowledged fact in a power cut is no ground to
// decide on. Only who sets Options.SyncInterval gets less, and SyncAlways and the
// monitoring pages then say so. It listens on the loopback interface only, or
// not at all.
//
// Order: Start returns when the server answers; Shutdown returns when its files
// are closed, so that the next Start on the same folder finds them whole.
//
// The caller keeps the folder for one server at a time. The package installs no
// signal handler and never ends the process.
package natsd
