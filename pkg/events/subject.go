package events

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// DefaultPrefix is the first token of every subject unless configured otherwise.
const DefaultPrefix = "fleet"

// Token encodes a node id as one subject token:
// letters, digits, "_", "@" and "-" stand for themselves, every other byte is
// "%" and two upper-case hex digits. A leading "-" is encoded too, since
// commands would read it as an option. ParseToken undoes it.
//
// It has up to three bytes for each of the id's: see FileName.
func Token(id fleet.NodeID) string {
	plain := true
	for i := range len(id) {
		if !tokenByte(id[i], i) {
			plain = false
			break
		}
	}
	if plain {
		return string(id)
	}
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(id) {
		if c := id[i]; tokenByte(c, i) {
			b.WriteByte(c)
		} else {
			b.WriteByte('%')
			b.WriteByte(digits[c>>4])
			b.WriteByte(digits[c&15])
		}
	}
	return b.String()
}

func tokenByte(c byte, at int) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_', c == '@':
		return true
	}
	return c == '-' && at > 0
}

// File systems end names at 255 bytes; an ending such as ".log" has to fit too.
const (
	maxFileName   = 200
	fileNameStart = 150
)

// FileName is the name of a node's folder or, with an ending, of a node's file:
// one safe name of at most 200 bytes, never the same for two ids. It is the
// token, or for a longer token its first 150 bytes, "~", which no token has,
// and 32 hex digits of the id's SHA-256.
func FileName(id fleet.NodeID) string {
	token := Token(id)
	if len(token) <= maxFileName {
		return token
	}
	sum := sha256.Sum256([]byte(id))
	return token[:fileNameStart] + "~" + hex.EncodeToString(sum[:16])
}

// ParseToken is the inverse of Token. It refuses what Token never writes, so
// that one id has exactly one token.
func ParseToken(token string) (fleet.NodeID, error) {
	raw, err := percentDecode(token)
	if err != nil {
		return "", fmt.Errorf("subject token %q: %w", token, err)
	}
	id, err := fleet.ParseNodeID(raw)
	if err != nil {
		return "", fmt.Errorf("subject token %q: %w", token, err)
	}
	if Token(id) != token {
		return "", fmt.Errorf("subject token %q is not the canonical form %q", token, Token(id))
	}
	return id, nil
}

// Subjects builds the subjects of one fleet. Several fleets can share an
// account, each under its own prefix.
type Subjects struct{ prefix string }

// NewSubjects checks the prefix: letters, digits, "_" and "-", at most 32 bytes.
func NewSubjects(prefix string) (Subjects, error) {
	if prefix == "" || len(prefix) > 32 {
		return Subjects{}, fmt.Errorf("subject prefix %q must have 1 to 32 characters", prefix)
	}
	for i := range len(prefix) {
		c := prefix[i]
		if c == '@' || !tokenByte(c, i) {
			return Subjects{}, fmt.Errorf("subject prefix %q: only letters, digits, \"_\" and \"-\" (not first) are allowed", prefix)
		}
	}
	return Subjects{prefix: prefix}, nil
}

// DefaultSubjects are the subjects under DefaultPrefix.
func DefaultSubjects() Subjects { return Subjects{prefix: DefaultPrefix} }

// Prefix is the first token of every subject.
func (s Subjects) Prefix() string { return s.prefix }

// Of is the subject that e travels on: for credential.proved the one on the log.
func (s Subjects) Of(e *Event) (string, error) {
	d, ok := byType[e.Type]
	if !ok {
		return "", refuse(ReasonUnknownType, "event type %q is not in the registry", e.Type)
	}
	return s.prefix + "." + d.tail(e), nil
}

// Inventory is the subject of inventory.applied.
func (s Subjects) Inventory() string { return s.prefix + ".events.inventory" }

// Trust is the subject of the facts about issuers and their rotation.
func (s Subjects) Trust() string { return s.prefix + ".events.trust" }

// Plan is the subject of plan.decided: every published batch is fenced on it.
func (s Subjects) Plan() string { return s.prefix + ".events.plan" }

// Control is the subject of what a person decides: pauses and approvals.
func (s Subjects) Control() string { return s.prefix + ".events.control" }

// Enforcement is the subject of the two enforcement facts.
func (s Subjects) Enforcement() string { return s.prefix + ".events.enforcement" }

// Refusal is the subject of message.refused.
func (s Subjects) Refusal() string { return s.prefix + ".events.refusal" }

// Checkpoint is the subject of checkpoint.signed.
func (s Subjects) Checkpoint() string { return s.prefix + ".events.checkpoint" }

// Node is the subject of a node's facts.
func (s Subjects) Node(id fleet.NodeID) string { return s.prefix + ".events.node." + Token(id) }

// isNode says whether a subject is that of a node's facts, without making one.
func (s Subjects) isNode(subject string, id fleet.NodeID) bool {
	const middle = ".events.node."
	n := len(s.prefix)
	return len(subject) > n+len(middle) && subject[:n] == s.prefix && subject[n:n+len(middle)] == middle && subject[n+len(middle):] == Token(id)
}

// Outcome is the subject of an action's one outcome.
func (s Subjects) Outcome(id fleet.ActionID) string {
	return s.prefix + ".events.outcome." + string(id)
}

// Presence is the subject of a node's heartbeats.
func (s Subjects) Presence(id fleet.NodeID) string { return s.prefix + ".presence." + Token(id) }

// Credential is the subject of a node's own credential statements.
func (s Subjects) Credential(id fleet.NodeID) string { return s.prefix + ".credential." + Token(id) }

// Command is the subject an agent takes commands on.
func (s Subjects) Command(id fleet.NodeID) string { return s.prefix + ".command." + Token(id) }

// Request is the subject of a node's requests to the services.
func (s Subjects) Request(id fleet.NodeID) string { return s.prefix + ".request." + Token(id) }

// AllRequests matches the requests of all nodes.
func (s Subjects) AllRequests() string { return s.prefix + ".request.*" }

// TrustBundle is the subject of the trust bundle, for those who may not read the log.
func (s Subjects) TrustBundle() string { return s.prefix + ".trust.bundle" }

// TrustPosture is the subject of the fleet's posture.
func (s Subjects) TrustPosture() string { return s.prefix + ".trust.posture" }

// TrustCRL is the subject of the revocation list of the issuer with that key id,
// lower-case hex.
func (s Subjects) TrustCRL(keyID string) string { return s.prefix + ".trust.crl." + keyID }

// TrustRegions is the subject of one part of which intermediates sign for whom;
// the part in two lower-case hex digits.
func (s Subjects) TrustRegions(shard string) string { return s.prefix + ".trust.regions." + shard }

// TrustPace is the subject of how often nodes should send heartbeats.
func (s Subjects) TrustPace() string { return s.prefix + ".trust.pace" }

// AllTrust matches the bundle, the pace, the posture, every revocation list and the regions.
func (s Subjects) AllTrust() string { return s.prefix + ".trust.>" }

// AllEvents, AllActions, AllPresence and AllCredentials are the filters of the streams.
func (s Subjects) AllEvents() string { return s.prefix + ".events.>" }

// AllActions matches every action.
func (s Subjects) AllActions() string { return s.prefix + ".actions.>" }

// AllPresence matches every heartbeat.
func (s Subjects) AllPresence() string { return s.prefix + ".presence.*" }

// AllCredentials matches every credential statement of a node.
func (s Subjects) AllCredentials() string { return s.prefix + ".credential.*" }

// AllCommands matches the commands to all nodes.
func (s Subjects) AllCommands() string { return s.prefix + ".command.*" }

// CommandNode is the node that a command subject belongs to.
func (s Subjects) CommandNode(subject string) (fleet.NodeID, error) {
	token, ok := strings.CutPrefix(subject, s.prefix+".command.")
	if !ok {
		return "", refuse(ReasonWrongSubject, "%q is not a command subject", subject)
	}
	return ParseToken(token)
}

// PresenceNode is the node that a presence subject belongs to.
func (s Subjects) PresenceNode(subject string) (fleet.NodeID, error) {
	token, ok := strings.CutPrefix(subject, s.prefix+".presence.")
	if !ok {
		return "", refuse(ReasonWrongSubject, "%q is not a presence subject", subject)
	}
	return ParseToken(token)
}

// CredentialNode is the node that a credential subject belongs to.
func (s Subjects) CredentialNode(subject string) (fleet.NodeID, error) {
	token, ok := strings.CutPrefix(subject, s.prefix+".credential.")
	if !ok {
		return "", refuse(ReasonWrongSubject, "%q is not a credential subject", subject)
	}
	return ParseToken(token)
}

// RequestNode is the node that a request subject belongs to.
func (s Subjects) RequestNode(subject string) (fleet.NodeID, error) {
	token, ok := strings.CutPrefix(subject, s.prefix+".request.")
	if !ok {
		return "", refuse(ReasonWrongSubject, "%q is not a request subject", subject)
	}
	return ParseToken(token)
}
