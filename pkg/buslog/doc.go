// Package buslog reads, in what a NATS server logs, whom it has refused what:
// who published or subscribed where they may not, who was not let in, who sent
// what is too large. The server tells nobody else.
//
// What it promises. Parse knows the lines of the server that go.mod names, whole
// lines only, and names somebody only where the line leaves no doubt: subjects,
// names and certificates are chosen by those who are refused, and a client's name
// even changes how the server writes the line. Whatever they choose, nobody else
// is named for it; a line that speaks of a refusal and cannot be read is counted
// as nobody's. Tally keeps few kinds, and of each the newest and a number.
//
// In which order things happen: a File is read from where it ends at the start,
// and from its beginning where it was not there yet; when the server has begun
// another one under the name, the old one is read to its end first. What is logged
// while nobody reads is not told.
//
// What the caller must do: hand each Refusal to a Tally, or do as little with it
// as that does. Who is refused chooses how often.
package buslog
