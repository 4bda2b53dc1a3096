package snapshot

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"io"
	"iter"

	"github.com/fxamacker/cbor/v2"
	"github.com/klauspost/compress/zstd"

	"github.com/fleetfold/fleetfold/pkg/projection"
)

// HashOf is the hash of a state.
func HashOf(s *projection.State) (Hash, error) {
	b := newBody(io.Discard)
	if err := b.still(s.Still()); err != nil {
		return Hash{}, fmt.Errorf("hash state: %w", err)
	}
	return b.hash(), nil
}

// Encode writes a snapshot of a state that ends with that record. It streams:
// what it holds at a time is a chunk and not the whole.
func Encode(w io.Writer, state *projection.Still, at Mark) (Hash, error) {
	h, err := encode(w, state, at)
	if err != nil {
		return Hash{}, fmt.Errorf("encode snapshot: %w", err)
	}
	return h, nil
}

func encode(w io.Writer, img *projection.Still, at Mark) (Hash, error) {
	if at.Sequence != img.Sequence || at.Sequence == 0 {
		return Hash{}, fmt.Errorf("the image ends at %d and its last record is %d", img.Sequence, at.Sequence)
	}
	head, err := encodeHeader(at)
	if err != nil {
		return Hash{}, err
	}
	if _, err := w.Write(head); err != nil {
		return Hash{}, err
	}
	z, err := zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(window), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return Hash{}, err
	}
	defer z.Close()
	b := newBody(z)
	if err := b.still(img); err != nil {
		return Hash{}, err
	}
	h := b.hash()
	seal := sealOf(head, h)
	if _, err := z.Write(append(h[:], seal[:]...)); err != nil {
		return Hash{}, err
	}
	return h, z.Close()
}

func encodeHeader(at Mark) ([]byte, error) {
	h, err := deterministic.Marshal(wireHeader{
		Fold: projection.FoldVersion, Sequence: at.Sequence, Time: toTime(at.Time), Subject: at.Subject, Message: at.Message,
	})
	if err != nil {
		return nil, err
	}
	if len(h) > maxHeader {
		return nil, fmt.Errorf("header has %d bytes, at most %d are allowed", len(h), maxHeader)
	}
	head := binary.BigEndian.AppendUint16([]byte(magic), format)
	head = binary.BigEndian.AppendUint16(head, uint16(len(h)))
	return append(head, h...), nil
}

func sealOf(head []byte, body Hash) Hash { return sha256.Sum256(append(bytes.Clone(head), body[:]...)) }

var deterministic = func() cbor.UserBufferEncMode {
	mode, err := cbor.CoreDetEncOptions().UserBufferEncMode()
	if err != nil {
		panic(err) // the options are constant
	}
	return mode
}()

// body writes the chunks of an image and hashes them.
type body struct {
	w     io.Writer
	sum   hash.Hash
	kind  byte
	chunk bytes.Buffer
	ids   idWriter
}

func newBody(w io.Writer) *body {
	sum := sha256.New()
	return &body{w: io.MultiWriter(sum, w), sum: sum}
}

func (b *body) hash() (h Hash) {
	b.sum.Sum(h[:0])
	return h
}

func (b *body) still(s *projection.Still) error { return b.image(&s.Image, s.IDs()) }

// image writes the ids that it is given, and not those of the image.
func (b *body) image(img *projection.Image, ids iter.Seq[projection.IDImage]) error {
	if err := b.item(kindFleet, toFleet(img)); err != nil {
		return err
	}
	for _, p := range img.Pauses {
		if err := b.item(kindPauses, toPause(p)); err != nil {
			return err
		}
	}
	for _, a := range img.Approvals {
		if err := b.item(kindApprovals, toApproval(a)); err != nil {
			return err
		}
	}
	for _, r := range img.Rotations {
		if err := b.item(kindRotations, toRotation(r)); err != nil {
			return err
		}
	}
	for _, f := range img.Flights {
		if err := b.item(kindFlights, toFlight(f)); err != nil {
			return err
		}
	}
	for i := range ids {
		if err := b.id(&i); err != nil {
			return err
		}
	}
	if err := b.flush(); err != nil {
		return err
	}
	_, err := b.w.Write([]byte{kindEnd, 0})
	return err
}

func (b *body) item(kind byte, v any) error {
	if err := b.turn(kind); err != nil {
		return err
	}
	return deterministic.MarshalToBuffer(v, &b.chunk)
}

func (b *body) id(i *projection.IDImage) error {
	if err := b.turn(kindIDs); err != nil {
		return err
	}
	b.ids.b = b.ids.b[:0]
	b.ids.id(i)
	b.chunk.Write(b.ids.b)
	return nil
}

// turn begins a chunk unless there is one of the kind with room in it.
func (b *body) turn(kind byte) error {
	if b.kind != kind || b.chunk.Len() >= chunkBytes {
		if err := b.flush(); err != nil {
			return err
		}
		b.kind = kind
	}
	return nil
}

func (b *body) flush() error {
	if b.chunk.Len() == 0 {
		return nil
	}
	if b.chunk.Len() > maxChunk {
		return fmt.Errorf("an entry has %d bytes, at most %d are allowed", b.chunk.Len(), maxChunk)
	}
	head := binary.AppendUvarint([]byte{b.kind}, uint64(b.chunk.Len()))
	if _, err := b.w.Write(head); err != nil {
		return err
	}
	_, err := b.chunk.WriteTo(b.w)
	return err
}
