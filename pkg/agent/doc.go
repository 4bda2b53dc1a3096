// Package agent is the node's own part of the fleet: it keeps the node's key
// and credential, holds its lease by heartbeats, and answers commands.
//
// What it promises:
//
//   - The private key is made once, in the agent's folder, and never leaves it.
//   - A credential is kept only after it was checked: a given root signed it, it
//     names this node, and it is for this node's key. Until the new one lies on
//     disk, whole, the old one counts.
//   - A damaged file is an error that names it and says what to do. Nothing is
//     overwritten to get around it.
//   - A renewed credential is kept beside the old one, which stays in use until
//     the log says that the new one was proved. Whatever step a stop comes at,
//     the folder holds a credential that can be used.
//   - Two agents never share a folder.
//   - A bus that is away is waited for, for ever.
//
// In which order things happen: Open takes the folder. Run first takes
// commands, then beats, so that a node that appears can be written to. A
// delivered credential is checked, kept, and then proved by a signed statement,
// every time it is delivered. In its time, at a moment that is drawn, a request
// for a new one goes out, signed with the key of the old one; it is repeated,
// with growing waits, until the answer is proved and confirmed or the old one has
// ended. Then the fleet issues anew, as for a node without any. At the end, beats stop, a farewell ends the lease,
// and Run returns nil: a stop that was asked for is no failure.
//
// What the caller must do: give each node a folder of its own, and end the
// context to stop.
//
// What it never does: it never claims that the node can sign. It signs the
// challenge, and whoever reads the log decides.
package agent
