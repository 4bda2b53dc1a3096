// Package events is the wire of a fleet: one registry of event types, the
// subjects they travel on, and the codec between an Event and a Message.
//
// What it promises:
//
//   - One list. A type, its payload, its subject, its scope and its schema
//     stand in one row of the registry; nothing repeats the list.
//   - What Encode writes, Decode reads to an equal event, with the same bytes.
//     What Decode would refuse, Encode refuses: no writer can put a misfit on
//     the log. So Encode is the first reader's check, not the last hope.
//   - Decode is strict. It refuses attributes that are missing, doubled or
//     wrong, data with a field that is unknown, missing, doubled, null or
//     spelled in another case, data that contradicts the attributes, and a
//     message on another subject than its own.
//   - Decode is total. Any bytes give an event or a *Refusal with a stable
//     reason, never a panic; nothing larger than MaxBodyBytes is looked at.
//   - A node id has exactly one Token and a Token exactly one node id.
//
// In which order: Decode checks the size, the attributes, the data, their
// agreement and then the subject, and names the first misfit. CheckSchema
// looks closer at the data alone. It is for the border, where messages come
// from strangers, and costs several times as much.
//
// What the caller must do: count a Refusal and go on with the next message.
// Leave Event.Body nil on a new event; keep it on one that is passed on, since
// a proof covers these very bytes. Do not change Message.Data while the event
// decoded from it is in use. Verify DSSEMaterial elsewhere: here it is only
// bytes, and an event without it looks like one that never had it.
//
// What it never does: read a clock, draw a random number, log, or touch the
// network. Attributes that no event of the registry carries are passed over,
// and are gone when the event is encoded again.
package events
