// Package simulate plays the agents of many nodes in one process, over a real
// JetStream, to learn what a fleet of that size asks of server, planner and
// executor before there is one.
//
// # What it promises
//
// What simulated nodes say is what agents say: they speak through agent.Speaker,
// each under its own subjects, with a session for each of its lives, keys that are
// real and signatures that hold. When a node is born, dies and comes back follows
// from the seed alone; keys do not: they are drawn for the run, since the
// credentials that they get are real, too.
//
// A false loss is a node that the log called lost although acknowledged
// heartbeats had kept its lease running, counted from their sending, without a gap
// and for longer than one lease by then.
//
// # In which order things happen
//
// Births are spread over Config.Ramp. From then on a heap says whose
// heartbeat is due next; one goroutine sends them, acknowledgements come back in
// any order, and at most Config.InFlight are under way. A death is silent: the
// node says nothing from then on, and comes back as an agent that was started
// again, with the key and the credential it had. At the end all nodes say
// farewell, unless they are to vanish.
//
// # What the caller must do
//
// Give it a bus that may speak for every node, and an Evidence that the fleet's
// executors believe, or no credentials are issued. No other agent may run for
// the simulated nodes.
//
// # What it never does
//
// It writes nothing to the log, applies no inventory, and starts nothing. It has
// no goroutine for each node, and under 300 bytes for one without a credential.
package simulate
