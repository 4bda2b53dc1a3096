package events

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
)

// idHexDigits is how much of a hash an event id carries: 128 bits.
const idHexDigits = 32

// NewID makes the id of an event from its cause, so that the same cause always
// gives the same id. Each part stands behind its length: no two different
// lists of parts have the same bytes.
func NewID(parts ...string) string {
	h := sha256.New()
	var n [8]byte
	for _, p := range parts {
		binary.BigEndian.PutUint64(n[:], uint64(len(p)))
		h.Write(n[:])
		h.Write([]byte(p))
	}
	return hex.EncodeToString(h.Sum(nil))[:idHexDigits]
}
