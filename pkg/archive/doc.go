// Package archive keeps a fleet's log in a file, and finds out whether anybody
// changed that file.
//
// What it promises: a file holds everything of the log, so that whoever reads
// it sees the records that readers of the log saw, with their sequences, times,
// headers and bytes, and the inventories they speak of. The same log gives the
// same file, byte for byte. A reader verifies as it goes and tells of the first
// fault by line and sequence, as a *Fault; it never returns a record behind one.
// Neither keeps more in memory than one line, and of each inventory its place.
//
// The format is JSON lines, each in one spelling: no space between tokens, keys
// in the order given here, and in a string only what JSON demands is escaped.
//
//	{"fleetfold_export":1,"prefix":"fleet","after":0,"chain":"…","frontier":[]}
//
// comes first: the prefix of the fleet's subjects, and where the file begins,
// which is behind sequence after. chain is the running hash up to there, and
// frontier the right edge of the Merkle tree over the log up to there (see
// package merkle), for a file that does not begin with the first record.
//
//	{"seq":1,"time":"…","subject":"…","headers":{"ce-id":["…"]},"data":{…},"chain":"…"}
//
// is one record: its sequence, its time (RFC 3339, UTC, as many digits of the
// second as it has), subject, headers by name with all their values, and data as
// it is. Data that is not JSON, or could not stand in one line, is base64 in
// data64 in place of data. A subject or headers with bytes that are not UTF-8
// are base64 in subject64 or headers64, where names and values are encoded one by
// one. chain is lower-case hex of SHA-256 over the chain before, as 32 bytes, and
// the leaf of the record as package merkle makes it. The chain before the first
// record is SHA-256 of "fleetfold export" and a line feed and the prefix.
//
//	{"inventory":"sha256:…","text":"…"}
//
// is the text of an inventory, or text64, just before the first record that
// applies it; missing, with the reason, in place of the text says that it could
// not be had when the file was written.
//
//	{"size":9,"root":"…","chain":"…","checkpoint":"…"}
//
// comes last: the sequence of the last record, the root of the tree up to there,
// the chain, and the newest checkpoint that stands on the log, empty for none.
// Behind it may come another file that begins where this one ends, so that parts
// can be put together by "cat".
//
// What the caller must do: give keys and checkpoints that were kept elsewhere.
// Without them a reader finds damage, and changes by those who do not know how
// to make a chain; who does, and holds the file, can write another history.
package archive
