package buslog

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/identity"
)

// Why a server refuses. Each is a stable label of logs, metrics and facts.
const (
	// PermissionPublish: the client may not publish there.
	PermissionPublish fleet.Reason = "permission_publish"
	// PermissionReply: it may not have answers sent there.
	PermissionReply fleet.Reason = "permission_reply"
	// PermissionSubscribe: it may not hear what is published there.
	PermissionSubscribe fleet.Reason = "permission_subscribe"
	// Authentication: it has shown nothing by which it is known.
	Authentication fleet.Reason = "authentication"
	// TLSHandshake: it speaks no TLS, or has no certificate that counts.
	TLSHandshake fleet.Reason = "tls_handshake"
	// PayloadTooLarge: the message, with its headers, is over the limit.
	PayloadTooLarge fleet.Reason = "payload_too_large"
	// ControlLineTooLong: subjects or names are over the limit.
	ControlLineTooLong fleet.Reason = "control_line_too_long"
	// ProtocolError: what it sends is not the protocol.
	ProtocolError fleet.Reason = "protocol_error"
	// TooManySubscriptions and TooManyConnections: over the limit.
	TooManySubscriptions fleet.Reason = "too_many_subscriptions"
	TooManyConnections   fleet.Reason = "too_many_connections"
	// Unreadable: the line speaks of a refusal and is not as the server writes it.
	Unreadable fleet.Reason = "unreadable"
)

// Refusal is what a server refused, as its log has it.
type Refusal struct {
	Reason fleet.Reason
	// User is how the server knows the client: the URI of its certificate, or the
	// key of its token. Empty for one who was not let in, and where the line leaves
	// a doubt.
	User string
	// Detail is one sentence, without the user. Others have chosen much of it.
	Detail string
}

// Node that was refused; empty where it is no node, or not known.
func (r Refusal) Node() fleet.NodeID {
	domain, _, ok := strings.Cut(strings.TrimPrefix(r.User, "spiffe://"), "/")
	if !ok || !strings.HasPrefix(r.User, "spiffe://") {
		return ""
	}
	id, err := identity.NodeIDOf(domain, r.User)
	if err != nil {
		return ""
	}
	return id
}

// quoted is a text as Go quotes it, and as nobody can end it from within.
const quoted = `"(?:[^"\\\n]|\\.)*"`

var (
	// head is address and number of a client, then what it says of itself and, once
	// it was let in, its account and user.
	head = regexp.MustCompile(`^\S+ - [a-z_]*id:\d+((?: - ` + quoted + `){0,2}) - `)
	// user is what comes last there.
	user = regexp.MustCompile(`(` + quoted + `)$`)
	// label is account and user: of an account that a token is of both key and name.
	label = regexp.MustCompile(`^[^/:]+(?:/[^/:]+)?/(?:user|jwt|nkey):(.+)$`)
	// stamp is what the server writes before a line in a file.
	stamp = regexp.MustCompile(`^(?:\[\d+\] )?(?:\d{4}/\d\d/\d\d \d\d:\d\d:\d\d\.\d{6} )?\[ERR\] `)
)

// form is one kind of line, the head left out.
type form struct {
	line   *regexp.Regexp
	reason fleet.Reason // empty: the server has refused nothing
	// say makes the detail of what the line's groups caught.
	say func(caught []string) string
	// stranger says that whoever it is about was not let in.
	stranger bool
}

func says(text string) func([]string) string { return func([]string) string { return text } }

func about(format string) func([]string) string {
	return func(caught []string) string { return fmt.Sprintf(format, caught[1]) }
}

var forms = []form{
	{regexp.MustCompile(`^Publish Violation - Subject (` + quoted + `)$`), PermissionPublish, about("may not publish to %s"), false},
	{regexp.MustCompile(`^Publish Violation - Reply (` + quoted + `)$`), PermissionReply, about("may not have answers sent to %s"), false},
	{regexp.MustCompile(`^Subscription Violation(?: Too Many Tokens)? - Subject (` + quoted + `)(?:, Queue: ` + quoted + `)?, SID \S*$`), PermissionSubscribe, about("may not subscribe to %s"), false},
	{regexp.MustCompile(`^maximum payload exceeded: (\d+) vs \d+$`), PayloadTooLarge, about("the message has %s bytes"), false},
	{regexp.MustCompile(`^maximum control line exceeded$`), ControlLineTooLong, says("subject and names are too long"), false},
	{regexp.MustCompile(`^maximum subscriptions exceeded$`), TooManySubscriptions, says("it has as many subscriptions as it may"), false},
	{regexp.MustCompile(`^Client parser ERROR, state=\d+, i=\d+: proto='` + quoted + `\.\.\.'$`), ProtocolError, says("it does not speak the protocol"), false},
	{regexp.MustCompile(`^process[A-Za-z]+ [A-Za-z ]+: ` + quoted + `$`), ProtocolError, says("it does not speak the protocol"), false},
	{regexp.MustCompile(`^maximum (?:account active )?connections exceeded\b`), TooManyConnections, says("there are as many connections as there may be"), true},
	{regexp.MustCompile(`^authentication error(?: - .*)?$`), Authentication, says("nobody is known by what it has shown"), true},
	{regexp.MustCompile(`(?s)^TLS (?:route )?handshake error: (tls: .*)$`), TLSHandshake, about("%s"), true},
	{regexp.MustCompile(`(?s)^TLS (?:route )?handshake error: (.*)$`), "", about("%s"), true}, // the client has hung up
	{regexp.MustCompile(`^TLS handshake timeout$`), TLSHandshake, says("the handshake was never finished"), true},
}

// marks are in every line that tells of a refusal, whatever else is in it.
var marks = []string{
	"Publish Violation - ", "Subscription Violation", "maximum payload exceeded", "maximum control line exceeded", "maximum subscriptions exceeded",
	"parser ERROR", "connections exceeded", "authentication error", "TLS handshake ", "TLS route handshake ",
}

// Parse reads what the server says at the level of errors, without what a file has
// before it. ok is false for what tells of no refusal.
func Parse(text string) (r Refusal, ok bool) {
	if !speaksOfARefusal(text) {
		return Refusal{}, false
	}
	at := head.FindStringSubmatchIndex(text)
	if at == nil {
		return unreadable, true
	}
	who, rest := text[at[2]:at[3]], text[at[1]:]
	for _, f := range forms {
		caught := f.line.FindStringSubmatch(rest)
		if caught == nil || f.stranger != (who == "") {
			continue
		}
		r = Refusal{Reason: f.reason, Detail: f.say(caught)}
		if f.stranger {
			return r, r.Reason != ""
		}
		if r.User, ok = userOf(who); ok {
			return r, true
		}
	}
	return unreadable, true
}

var unreadable = Refusal{Reason: Unreadable, Detail: "the server's line is not one that it writes of its own accord"}

func speaksOfARefusal(text string) bool {
	if strings.Contains(text, " - process") {
		return true
	}
	for _, mark := range marks {
		if strings.Contains(text, mark) {
			return true
		}
	}
	return false
}

// userOf reads who it is from the last of what stands in quotes. All of it must be
// as the server has quoted it.
func userOf(who string) (name string, ok bool) {
	for rest := who; rest != ""; {
		one, err := strconv.QuotedPrefix(strings.TrimPrefix(rest, " - "))
		if err != nil {
			return "", false
		}
		rest = rest[len(" - ")+len(one):]
	}
	text, err := strconv.Unquote(user.FindString(who))
	if err != nil {
		return "", false
	}
	caught := label.FindStringSubmatch(text)
	if caught == nil {
		return "", false
	}
	return caught[1], true
}

// ParseLine is Parse for a line of the server's log file, without its end.
func ParseLine(line string) (Refusal, bool) {
	line = strings.TrimRight(line, "\r")
	at := stamp.FindStringIndex(line)
	switch {
	case at == nil:
		return Refusal{}, false
	case len(line) > maxText:
		return unreadable, true // somebody has blown it up, so that nobody finds out who
	}
	return Parse(line[at[1]:])
}
