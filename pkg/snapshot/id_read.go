package snapshot

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// idReader reads what an idWriter wrote. The image it hands out, and all that this
// points to, is its own and good until the next.
type idReader struct {
	rest           string
	err            error // the first; from then on everything is zero
	shared         []string
	image          projection.IDImage
	node           projection.Node
	issued, proved projection.Credential
}

var (
	errShort    = errors.New("an id ends too early")
	errOverlong = errors.New("a number of an id is overlong")
)

// chunk begins with the ids of a chunk. The texts of the images are part of it.
func (r *idReader) chunk(content []byte) { r.rest = string(content) }

// next is false at the end of the chunk.
func (r *idReader) next() (*projection.IDImage, bool, error) {
	if r.rest == "" {
		return nil, false, nil
	}
	r.image = projection.IDImage{Losses: r.image.Losses[:0], Earlier: r.image.Earlier[:0], Attempts: r.image.Attempts[:0]}
	r.id(&r.image)
	return &r.image, true, r.err
}

func (r *idReader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
	r.rest = ""
}

func (r *idReader) id(i *projection.IDImage) {
	f := r.uint()
	if f >= flagsEnd {
		r.fail(fmt.Errorf("an id has the flags %#x", f))
	}
	i.ID = fleet.NodeID(r.text())
	i.Epoch, i.Last = r.uint(), r.uint()
	if f&withRemoval != 0 {
		i.RemovedAt = r.time()
	}
	if f&withNode != 0 {
		i.Node = r.readNode(i, f)
	}
	if f&withPast != 0 {
		r.past(i)
	}
	if f&withAttempts != 0 {
		r.attempts(i)
	}
}

func (r *idReader) readNode(i *projection.IDImage, f uint64) *projection.Node {
	n := &r.node
	*n = projection.Node{ID: i.ID, Epoch: i.Epoch, Present: f&withPresent != 0, Lost: f&withLost != 0}
	n.Began = r.uint()
	n.Session, n.KeyFingerprint, n.Bundle = r.text(), r.text(), r.common()
	n.ProvedAt = r.time()
	if f&withIssued != 0 {
		n.Issued = r.credential(&r.issued, n.KeyFingerprint)
	}
	switch {
	case f&withProvedIssued != 0:
		n.Proved = n.Issued
	case f&withProved != 0:
		n.Proved = r.credential(&r.proved, n.KeyFingerprint)
	}
	return n
}

func (r *idReader) credential(c *projection.Credential, key string) *projection.Credential {
	*c = projection.Credential{KeyFingerprint: key}
	if r.uint() == 0 {
		c.KeyFingerprint = r.text()
	}
	c.Serial, c.Nonce = r.text(), r.text()
	c.Epoch = r.uint()
	c.NotBefore, c.NotAfter, c.IssuedAt = r.time(), r.time(), r.time()
	c.Sequence = r.uint()
	c.Issuer = r.common()
	return c
}

func (r *idReader) past(i *projection.IDImage) {
	for range r.count() {
		i.Losses = append(i.Losses, r.time())
	}
	for range r.count() {
		e := projection.EarlierImage{Serial: r.text()}
		e.Issuer = r.common()
		e.KeyFingerprint = r.text()
		e.NotAfter = r.time()
		i.Earlier = append(i.Earlier, e)
	}
}

func (r *idReader) attempts(i *projection.IDImage) {
	for range r.count() {
		a := projection.NeedImage{Type: fleet.ActionType(r.common())}
		a.Published, a.Failures = r.int(), r.int()
		a.LastOutcome = r.time()
		flags := r.uint()
		a.LastRefused, a.Retry = flags&1 != 0, flags&2 != 0
		a.LastError = r.text()
		a.Epoch, a.Generation = r.uint(), r.uint()
		i.Attempts = append(i.Attempts, a)
	}
}

// count is how many entries follow, each of which takes a byte at least.
func (r *idReader) count() uint64 {
	n := r.uint()
	if n > uint64(len(r.rest)) {
		r.fail(errShort)
		return 0
	}
	return n
}

func (r *idReader) uint() (n uint64) {
	for shift := 0; shift < 64; shift += 7 {
		if r.rest == "" {
			r.fail(errShort)
			return 0
		}
		b := r.rest[0]
		r.rest = r.rest[1:]
		n |= uint64(b&0x7f) << shift
		if b < 0x80 {
			if b == 0 && shift > 0 || shift == 63 && b > 1 {
				r.fail(errOverlong)
			}
			return n
		}
	}
	r.fail(errOverlong)
	return 0
}

func (r *idReader) varint() int64 {
	n := r.uint()
	return int64(n>>1) ^ -int64(n&1)
}

func (r *idReader) int() int { return int(r.varint()) }

func (r *idReader) time() time.Time {
	nanos := r.uint()
	switch {
	case nanos == 0:
		return time.Time{}
	case nanos > uint64(time.Second):
		r.fail(fmt.Errorf("a time of an id has %d nanoseconds", nanos-1))
	}
	return time.Unix(r.varint()+someSecond, int64(nanos-1)).UTC()
}

func (r *idReader) text() string {
	n := r.uint()
	length := n / textKinds
	if length > uint64(len(r.rest)) {
		r.fail(errShort)
		return ""
	}
	packed := r.rest[:length]
	r.rest = r.rest[length:]
	switch n % textKinds {
	case textHex:
		return unhex("", packed)
	case textDigest:
		return unhex(digestPrefix, packed)
	}
	return packed
}

func unhex(prefix, packed string) string {
	var b strings.Builder
	b.Grow(len(prefix) + 2*len(packed))
	b.WriteString(prefix)
	for i := range len(packed) {
		b.WriteByte(hexDigits[packed[i]>>4])
		b.WriteByte(hexDigits[packed[i]&15])
	}
	return b.String()
}

const hexDigits = "0123456789abcdef"

func (r *idReader) common() string {
	n := r.uint()
	switch {
	case n == 0:
		return r.text()
	case n == 1 && len(r.shared) < maxShared:
		s := strings.Clone(r.text())
		r.shared = append(r.shared, s)
		return s
	case n >= 2 && n-2 < uint64(len(r.shared)):
		return r.shared[n-2]
	}
	r.fail(fmt.Errorf("an id names the shared text %d of %d", n, len(r.shared)))
	return ""
}
