package events

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

const (
	// MinLeaseSeconds and MaxLeaseSeconds bound the lease a heartbeat may ask for.
	MinLeaseSeconds = 1
	MaxLeaseSeconds = 3600
	// MaxIDBytes bounds the ids of actions and plans, which are subject tokens.
	MaxIDBytes = 128
)

// checkEvent checks what an event says in one place against what it says in
// another. Both Encode and Decode go through it.
func checkEvent(e *Event) (*form, error) {
	f, err := formOf(e)
	if err != nil {
		return nil, err
	}
	return f, f.check(e)
}

// check is checkEvent for an event whose data is of the form.
func (f *form) check(e *Event) error {
	if err := checkAttributes(e, f); err != nil {
		return err
	}
	if err := checkExtensions(e, f); err != nil {
		return err
	}
	return checkData(e)
}

func checkAttributes(e *Event, f *form) error {
	if err := checkText("id", e.ID); err != nil {
		return err
	}
	if err := checkSource(e.Source); err != nil {
		return err
	}
	if y := e.Time.UTC().Year(); e.Time.IsZero() || y < 0 || y > 9999 {
		return refuse(ReasonBadAttribute, "time %v is not set, or not of the years 0 to 9999", e.Time)
	}
	switch {
	case f.scope == scopeFleet && e.Node != "":
		return refuse(ReasonBadAttribute, "%s concerns the fleet, but its subject is %q", e.Type, e.Node)
	case f.scope == scopeNode && e.Node == "":
		return refuse(ReasonBadAttribute, "%s concerns a node, but has no subject", e.Type)
	case e.Node != "":
		if _, err := fleet.ParseNodeID(string(e.Node)); err != nil {
			return refuse(ReasonBadAttribute, "subject: %v", err)
		}
	}
	return nil
}

func checkText(name, s string) error {
	if s == "" || len(s) > maxAttributeBytes {
		return refuse(ReasonBadAttribute, "attribute %s must have 1 to %d bytes, it has %d", name, maxAttributeBytes, len(s))
	}
	if isPrintable(s) {
		return nil
	}
	if !utf8.ValidString(s) || strings.TrimSpace(s) == "" {
		return refuse(ReasonBadAttribute, "attribute %s is blank or not valid UTF-8", name)
	}
	for _, r := range s {
		if unicode.IsControl(r) {
			return refuse(ReasonBadAttribute, "attribute %s has the character %U", name, r)
		}
	}
	return nil
}

// isPrintable says that s has only ASCII letters, digits and marks, as almost
// every text has that is checked.
func isPrintable(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7F {
			return false
		}
	}
	return true
}

// inURI says which bytes a URI reference may have.
var inURI = func() (in [256]bool) {
	for c := byte('!'); c < 0x7F; c++ {
		in[c] = strings.IndexByte("<>\"{}|\\^`", c) < 0
	}
	return in
}()

// checkSource checks for the characters of a URI reference.
func checkSource(s string) error {
	switch s {
	case SourcePlanner, SourceExecutor, SourceOperator:
		return nil
	}
	if err := checkText("source", s); err != nil {
		return err
	}
	for i := range len(s) {
		if !inURI[s[i]] {
			return refuse(ReasonBadAttribute, "source %q is not a URI reference", s)
		}
	}
	if _, err := percentDecode(s); err != nil {
		return refuse(ReasonBadAttribute, "source %q is not a URI reference: %v", s, err)
	}
	return nil
}

func checkExtensions(e *Event, f *form) error {
	if e.TraceParent != "" && !isTraceParent(e.TraceParent) {
		return refuse(ReasonBadAttribute, "traceparent %q is not of W3C trace context", e.TraceParent)
	}
	if len(e.DSSEMaterial) > 0 && e.Type != TypeCredentialProved && e.Type != TypeRenewalRequested {
		return refuse(ReasonBadAttribute, "%s carries a dssematerial", e.Type)
	}
	s := e.Step
	switch isAction := f.Channel == ChannelAction; {
	case isAction && s == nil:
		return refuse(ReasonBadAttribute, "%s lacks plan, step, steps and basis", e.Type)
	case !isAction && s != nil:
		return refuse(ReasonBadAttribute, "%s is no action, but carries plan, step, steps and basis", e.Type)
	case !isAction:
		return nil
	case !isID(string(s.Plan)):
		return refuse(ReasonBadAttribute, "plan %q is not a legal id", s.Plan)
	case s.Step < 1 || s.Step > s.Steps || s.Steps > 1<<31-1:
		return refuse(ReasonBadAttribute, "step %d of %d", s.Step, s.Steps)
	}
	return nil
}

// isTraceParent checks for version-trace-parent-flags in lower-case hex.
func isTraceParent(s string) bool {
	if len(s) != 55 || s[2] != '-' || s[35] != '-' || s[52] != '-' {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if i != 2 && i != 35 && i != 52 && (unhex(c) < 0 || 'A' <= c && c <= 'F') {
			return false
		}
	}
	return s[:2] != "ff" && strings.Trim(s[3:35], "0") != "" && strings.Trim(s[36:52], "0") != ""
}

// isID says whether s is a legal id of an action or a plan: letters, digits,
// "-" and "_", so that it is one subject token as it stands.
func isID(s string) bool {
	if s == "" || len(s) > MaxIDBytes {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c == '@' || c != '-' && !tokenByte(c, i) {
			return false
		}
	}
	return true
}
