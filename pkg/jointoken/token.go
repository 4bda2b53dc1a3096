package jointoken

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"strings"
	"time"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// Prefix begins every token.
const Prefix = "fleetfold-join-"

const (
	// secretLength is that of rand.Text: 26 characters of 5 bits.
	secretLength = 26
	secretDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	// idLength is how much of the hash, in hex digits, names a token. It is no
	// secret, and says nothing of the token.
	idLength = 16
)

// Why a token is refused. They appear in logs, so none is ever renamed.
const (
	// ReasonMalformed: it is no token.
	ReasonMalformed fleet.Reason = "token_malformed"
	// ReasonUnknown: it was revoked, its node decommissioned, it ended long ago,
	// or it never was.
	ReasonUnknown fleet.Reason = "token_unknown"
	// ReasonExpired: nobody has shown it in time.
	ReasonExpired fleet.Reason = "token_expired"
	// ReasonNode: it is for another node.
	ReasonNode fleet.Reason = "token_node"
	// ReasonSpent: it was shown for another key.
	ReasonSpent fleet.Reason = "token_spent"
)

// States of a token.
const (
	Unspent = "unspent"
	Spent   = "spent"
	Expired = "expired"
)

// Record is what is stored of a token.
type Record struct {
	// ID of the token, which is no secret: the start of its hash.
	ID string `json:"id"`
	// SHA256 of the token, in lower-case hex.
	SHA256 string       `json:"sha256"`
	Node   fleet.NodeID `json:"node"`
	// Created and Expires are by the clock of who made it.
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires"`
	// Actor as they name themselves; nobody checks it.
	Actor string `json:"actor"`
	Note  string `json:"note,omitempty"`
	// KeyFingerprint that it is bound to, "sha256:<hex>", since SpentAt; empty
	// while it is unspent.
	KeyFingerprint string    `json:"key_fingerprint,omitempty"`
	SpentAt        time.Time `json:"spent_at,omitzero"`
}

// State at that time.
func (r *Record) State(now time.Time) string {
	switch {
	case r.KeyFingerprint != "":
		return Spent
	case !now.Before(r.Expires):
		return Expired
	}
	return Unspent
}

// draw makes a token.
func draw() string { return Prefix + rand.Text() }

// hashOf is the SHA-256 of a token in lower-case hex, and the id that begins it.
func hashOf(token string) (id, hash string) {
	sum := sha256.Sum256([]byte(token))
	hash = hex.EncodeToString(sum[:])
	return hash[:idLength], hash
}

// parse checks the form of a token; it never quotes one.
func parse(text string) (token string, err error) {
	token = strings.TrimSpace(text)
	secret, ok := strings.CutPrefix(token, Prefix)
	if !ok || len(secret) != secretLength || strings.Trim(secret, secretDigits) != "" {
		return "", refuse(ReasonMalformed, "the payload is no join token")
	}
	return token, nil
}

// ValidID says whether text has the form of a token's id.
func ValidID(text string) bool {
	_, err := hex.DecodeString(text)
	return err == nil && len(text) == idLength && text == strings.ToLower(text)
}

// judge decides on a token of that hash; bind says that it is to be bound to
// the key.
func (r *Record) judge(hash string, node fleet.NodeID, fingerprint string, now time.Time) (bind bool, err error) {
	switch {
	case subtle.ConstantTimeCompare([]byte(r.SHA256), []byte(hash)) != 1:
		return false, refuse(ReasonUnknown, unknown)
	case r.Node != node:
		return false, refuse(ReasonNode, "the token "+r.ID+" is for another node")
	case r.KeyFingerprint == fingerprint:
		return false, nil
	case r.KeyFingerprint != "":
		return false, refuse(ReasonSpent, "the token "+r.ID+" was spent for another key at "+stamp(r.SpentAt))
	case !now.Before(r.Expires):
		return false, refuse(ReasonExpired, "the token "+r.ID+" was not spent until "+stamp(r.Expires))
	}
	return true, nil
}

const unknown = "no such token: it was revoked, or its node decommissioned, or it ended long ago, or it never was"

func stamp(at time.Time) string { return at.UTC().Format(time.RFC3339) }

func refuse(reason fleet.Reason, detail string) error {
	return &fleet.Refusal{Reason: reason, Detail: detail}
}
