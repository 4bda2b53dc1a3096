package merkle

import (
	"encoding/binary"
	"maps"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
)

// Hash is a SHA-256 hash: of a leaf, of a node of the tree, or of all of it.
// Its text is standard base64 with padding.
type Hash = tlog.Hash

// recordMagic begins each encoded record, so that its hash can be that of
// nothing else.
const recordMagic = "fleetfold record v1\n"

// AppendRecord appends the canonical encoding of r to dst. It covers everything
// that a log says of a record:
//
//	"fleetfold record v1" and a line feed   20 bytes
//	sequence                                 8 bytes, unsigned
//	time, whole seconds since 1970 UTC       8 bytes, signed
//	time, nanoseconds of the second          4 bytes, unsigned
//	subject                                  text
//	number of headers                        4 bytes, unsigned
//	each header: name and value              text, text
//	data                                     text
//
// Numbers are big-endian. A text is its length in bytes, 4 bytes unsigned, and
// then its bytes. A header with several values stands once for each of them;
// headers are ordered by the bytes of their names, and those of one name keep
// the order they have in the message. Headers whose names begin with "Nats-"
// belong to the transport and are no part of a record.
func AppendRecord(dst []byte, r eventlog.Record) []byte {
	dst = append(dst, recordMagic...)
	dst = binary.BigEndian.AppendUint64(dst, r.Sequence)
	dst = binary.BigEndian.AppendUint64(dst, uint64(r.Time.Unix()))
	dst = binary.BigEndian.AppendUint32(dst, uint32(r.Time.Nanosecond()))
	dst = appendText(dst, r.Message.Subject)
	count := len(dst)
	dst = binary.BigEndian.AppendUint32(dst, 0)
	headers := uint32(0)
	for _, name := range slices.Sorted(maps.Keys(r.Message.Header)) {
		for _, value := range r.Message.Header[name] {
			dst = appendText(appendText(dst, name), value)
			headers++
		}
	}
	binary.BigEndian.PutUint32(dst[count:], headers)
	return appendText(dst, r.Message.Data)
}

func appendText[T string | []byte](dst []byte, text T) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(text)))
	return append(dst, text...)
}

// LeafOf is the hash of r as a leaf: SHA-256 of a zero byte and the encoding.
func LeafOf(r eventlog.Record) Hash {
	return tlog.RecordHash(AppendRecord(make([]byte, 0, 1024), r))
}
