// Package field names the fields of log lines. One thing has one name in every
// service, so that a search finds all that was said of it.
package field

// Names of fields. Values: ids as strings, sequences as numbers, durations in
// milliseconds with zerolog's Dur.
const (
	Action      = "action"      // action id
	Actor       = "actor"       // who wanted it
	ActionType  = "action_type" // EnrollNode, IssueCredential, ...
	Actions     = "actions"     // count
	Address     = "address"     // host:port that is listened on
	Advice      = "advice"      // what a person can do
	Attempt     = "attempt"
	Attestor    = "attestor" // kind of evidence
	Basis       = "basis"    // sequence decided on
	Bytes       = "bytes"    // size of something stored
	Channel     = "channel"  // presence, credential, request or bus
	Cause       = "cause"    // why a process or a node stopped
	Command     = "command"
	Credential  = "credential" // file of a credential
	Digest      = "digest"     // of an inventory
	Dir         = "dir"
	Duration    = "duration"
	Epoch       = "epoch"
	Error       = "error"
	Event       = "event"       // event id
	Fingerprint = "fingerprint" // of a public key
	Failures    = "failures"    // count in a row
	Generation  = "generation"  // of the inventory
	Held        = "held"        // count
	HeldBy      = "held_by"     // reasons with their counts
	Kind        = "kind"
	Lease       = "lease"
	Node        = "node"
	Next        = "next"  // when the next attempt is due
	Nodes       = "nodes" // count
	NotAfter    = "not_after"
	Path        = "path"
	Plan        = "plan"
	Reason      = "reason"
	Region      = "region"
	Seq         = "seq"    // sequence of the log
	Serial      = "serial" // of a certificate
	Session     = "session"
	Snapshot    = "snapshot" // its name in the store
	State       = "state"    // ok, unknown, warn or fail
	Step        = "step"
	Subject     = "subject"
	Tail        = "tail"   // count of records behind a snapshot
	Type        = "type"   // event type
	Unseen      = "unseen" // count of nodes
	Why         = "why"    // reasons in words
	URL         = "url"
	Version     = "version"
	Wait        = "wait" // until the next try
)

// Names of fields about posts.
const (
	Source   = "source"
	Strict   = "strict"   // whether unsigned posts are refused
	Total    = "total"    // count since the start
	Verified = "verified" // whether a post's sender is
)

// Names of fields about checkpoints.
const (
	Root = "root" // of the tree over the log
	Size = "size" // sequence that a checkpoint goes up to
	To   = "to"   // who gets it: file or command
)
