package projection

import (
	"encoding/binary"
	"encoding/hex"
	"strings"
)

// form says what the bytes of a short text are. Up to plainest it is the length of
// a text that stands there as it is; from hexes on they are its hex digits, and
// from digests on those behind "sha256:". So a text has one form, and two texts
// are the same if their forms and bytes are.
type form uint8

const (
	plainest form = 32
	hexes    form = 64
	digests  form = 128
	// elsewhere is a text that is too long for its place.
	elsewhere form = 255
)

const digestPrefix = "sha256:"

// shorten writes a text into its place, which is zero, if it fits.
func shorten(place []byte, s string) form {
	if digits, found := strings.CutPrefix(s, digestPrefix); found {
		if shortenHex(place, digits) {
			return digests + form(len(digits)/2)
		}
	} else if shortenHex(place, s) {
		return hexes + form(len(s)/2)
	}
	if len(s) > len(place) {
		return elsewhere
	}
	copy(place, s)
	return form(len(s))
}

// lengthen is the text of that form; beside is that of one that is elsewhere.
func lengthen(place []byte, f form, beside string) string {
	switch {
	case f == elsewhere:
		return beside
	case f >= digests:
		return digestPrefix + hex.EncodeToString(place[:f-digests])
	case f >= hexes:
		return hex.EncodeToString(place[:f-hexes])
	}
	return string(place[:f])
}

// shortenHex writes what lower-case digits stand for, which are there and fit;
// else it says no, and leaves the place zero.
func shortenHex(place []byte, digits string) bool {
	n := len(digits) / 2
	if n == 0 || len(digits)%2 != 0 || n > len(place) {
		return false
	}
	done := 0
	for ; done+4 <= n; done += 4 {
		four, ok := fourOf(eight(digits[2*done:]))
		if !ok {
			clear(place)
			return false
		}
		binary.LittleEndian.PutUint32(place[done:], four)
	}
	for ; done < n; done++ {
		high, low := nibbles[digits[2*done]], nibbles[digits[2*done+1]]
		if high|low > 15 {
			clear(place)
			return false
		}
		place[done] = high<<4 | low
	}
	return true
}

func eight(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// fourOf are the bytes of eight lower-case digits, the first lowest; all of them
// are worked on at the same time.
func fourOf(digits uint64) (four uint32, ok bool) {
	const each = 0x0101010101010101
	letters := digits >> 6 & each // 1 where 0x40 is set: there should be a letter
	values := digits&(0x0f*each) + 9*letters
	// Each digit again from its value; and ten to fifteen are letters only.
	same := values+0x30*each+0x27*letters == digits
	if !same || values&(0xf0*each) != 0 || (values+6*each)&(0x10*each) != letters<<4 {
		return 0, false
	}
	pairs := (values<<4 | values>>8) & 0x00ff00ff00ff00ff
	pairs = (pairs | pairs>>8) & 0x0000ffff0000ffff
	return uint32(pairs | pairs>>16), true
}

// nibbles are the values of the digits, 255 for what is none.
var nibbles = func() (values [256]byte) {
	for i := range values {
		values[i] = 255
	}
	for value, digit := range []byte("0123456789abcdef") {
		values[digit] = byte(value)
	}
	return values
}()

// word has the length of serials and nonces.
type word struct {
	place [16]byte
	form  form
}

func wordOf(s string) (w word) {
	w.form = shorten(w.place[:], s)
	return w
}

func (w *word) text(beside string) string { return lengthen(w.place[:], w.form, beside) }

// fingerprint has the length of keys.
type fingerprint struct {
	place [32]byte
	form  form
}

func fingerprintOf(s string) (f fingerprint) {
	f.form = shorten(f.place[:], s)
	return f
}

func (f *fingerprint) text(beside string) string { return lengthen(f.place[:], f.form, beside) }

// session has the length of what agents draw.
type session struct {
	place [26]byte
	form  form
}

func sessionOf(s string) (x session) {
	x.form = shorten(x.place[:], s)
	return x
}

func (x *session) text(beside string) string { return lengthen(x.place[:], x.form, beside) }
