package events

import "github.com/fleetfold/fleetfold/pkg/fleet"

// Post is the subject that a node's receiver takes posts on.
func (s Subjects) Post(id fleet.NodeID) string { return s.prefix + ".post." + Token(id) }

// EncodeHeaderValue writes an attribute as the value of a header, as the HTTP and
// the NATS binding of CloudEvents have it.
func EncodeHeaderValue(s string) string { return percentEncode(s) }

// DecodeHeaderValue reads what either binding writes: it takes off quotes, and
// decodes once. What is then not UTF-8 is an error.
func DecodeHeaderValue(s string) (string, error) { return headerValue(s) }
