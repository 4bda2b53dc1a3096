// Package busconf says who may do what on the bus, and writes it down as the
// configuration of a NATS server.
//
// Who somebody is follows from a client certificate: a service's has one URI
// such as urn:fleetfold:service:planner, a node's its SPIFFE ID, and nothing
// else that the server would take for a name. The server maps that URI to a
// user; nobody is anonymous.
//
// For large fleets there are [Tokens]: the configuration names no node, a user's
// token says who they are, and the key that signed it what they may do.
//
// Services, nodes, operators and auditors live in accounts of their own. Permissions alone
// would not keep nodes off the log: the server sends its acknowledgements to
// whatever subject a publisher names for the answer, and does not ask whether
// the publisher may publish there. Across accounts such an answer returns only
// to the account that it was asked from, which holds no stream.
//
// What each may do stands in one table, [Table]; SECURITY.md shows it.
//
// The package reads and writes no file.
package busconf
