package archive

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"golang.org/x/mod/sumdb/note"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/merkle"
)

// ProofVersion of the format that is written.
const ProofVersion = 1

// maxProofBytes bounds what is read of a proof: a record of the largest message,
// in which every byte is escaped, and little more.
const maxProofBytes = 512 << 20

// ErrNotProved means that a proof does not hold, or that records are not those
// that a root stands for.
var ErrNotProved = errors.New("it is not proved")

// Tree is a log as far as it is proved about.
type Tree struct {
	// Size is the sequence of its last record.
	Size uint64 `json:"size"`
	// Root of the tree over the records up to there.
	Root merkle.Hash `json:"root"`
	// Checkpoint is the signed note that says so; empty where nobody signed it.
	Checkpoint string `json:"checkpoint,omitempty"`
}

// TreeOf reads a signed checkpoint. Nobody has verified it yet.
func TreeOf(signed []byte) (Tree, error) {
	c, err := merkle.Read(signed)
	return Tree{Size: c.Size, Root: c.Root, Checkpoint: string(signed)}, err
}

// known says whether the root was given.
func (t Tree) known() bool { return t.Checkpoint != "" || t.Root != merkle.Hash{} }

// Proof shows something about a log to whoever does not have the log: that a
// record is in it, or that it still begins with what it was.
type Proof struct {
	Version int `json:"fleetfold_proof"`
	// Record, of a proof of one, is its line in an export without the chain.
	Record string `json:"record,omitempty"`
	// Old, of a proof of two sizes, is what the log was.
	Old *Tree `json:"old,omitempty"`
	// Tree is what the log is proved about.
	Tree Tree `json:"tree"`
	// Hashes are those of RFC 6962, from the leaves to the root.
	Hashes []merkle.Hash `json:"hashes"`
}

// ProveRecord proves that the record with this sequence is in the tree. A root
// that is not given is computed; one that is given and is another is ErrNotProved.
func ProveRecord(ctx context.Context, src Source, seq uint64, tree Tree) (Proof, error) {
	var p merkle.Prover
	if err := p.WantInclusion(seq, tree.Size); err != nil {
		return Proof{}, fmt.Errorf("prove record: %w", err)
	}
	proof := Proof{Version: ProofVersion, Tree: tree}
	err := pass(ctx, src, &p, tree.Size, func(r eventlog.Record) error {
		if r.Sequence == seq {
			proof.Record = string(append(appendRecord(nil, r), '}'))
		}
		return nil
	})
	if err == nil {
		err = settle(&proof.Tree, p.Tree().Root())
	}
	if err == nil {
		proof.Hashes, err = p.Inclusion(seq, tree.Size)
	}
	if err != nil {
		return Proof{}, fmt.Errorf("prove record: %w", err)
	}
	return proof, nil
}

// ProveConsistency proves that the log at tree's size begins with what it was at
// old's. Roots are as with ProveRecord.
func ProveConsistency(ctx context.Context, src Source, old, tree Tree) (Proof, error) {
	var p merkle.Prover
	if err := p.WantConsistency(old.Size, tree.Size); err != nil {
		return Proof{}, fmt.Errorf("prove consistency: %w", err)
	}
	proof := Proof{Version: ProofVersion, Old: &old, Tree: tree}
	var err error
	if old.Size == 0 {
		err = settle(proof.Old, p.Tree().Root())
	}
	if err == nil {
		err = pass(ctx, src, &p, tree.Size, func(r eventlog.Record) error {
			if r.Sequence == old.Size {
				return settle(proof.Old, p.Tree().Root())
			}
			return nil
		})
	}
	if err == nil {
		err = settle(&proof.Tree, p.Tree().Root())
	}
	if err == nil {
		proof.Hashes, err = p.Consistency(old.Size, tree.Size)
	}
	if err != nil {
		return Proof{}, fmt.Errorf("prove consistency: %w", err)
	}
	return proof, nil
}

// settle compares a root that was given, or takes the one that was computed.
func settle(t *Tree, root merkle.Hash) error {
	if t.known() && t.Root != root {
		return fmt.Errorf("%w: the log has root %s at sequence %d, not %s: one of its records is not what was signed", ErrNotProved, root, t.Size, t.Root)
	}
	t.Root = root
	return nil
}

// pass shows p the records up to size, and calls each behind each of them.
func pass(ctx context.Context, src Source, p *merkle.Prover, size uint64, each func(eventlog.Record) error) error {
	if size == 0 {
		return nil
	}
	for r, err := range src.Records(ctx, 0) {
		if err != nil {
			return err
		}
		p.Append(merkle.LeafOf(r))
		if err := each(r); err != nil || r.Sequence == size {
			return err
		}
	}
	return fmt.Errorf("%w: the log ends at sequence %d, before %d", ErrNotProved, p.Tree().Size(), size)
}

// ReadProof reads a proof. It is strict about its form, and nothing is verified yet.
func ReadProof(r io.Reader) (Proof, error) {
	d := json.NewDecoder(io.LimitReader(r, maxProofBytes))
	d.DisallowUnknownFields()
	var p Proof
	if err := d.Decode(&p); err != nil {
		return Proof{}, fmt.Errorf("read proof: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return Proof{}, errors.New("read proof: something follows on it")
	}
	switch {
	case p.Version != ProofVersion:
		return Proof{}, fmt.Errorf("read proof: format %d is not known, only %d", p.Version, ProofVersion)
	case (p.Record == "") == (p.Old == nil):
		return Proof{}, errors.New("read proof: it must have either a record or an old tree")
	}
	return p, nil
}

// Verify says whether the proof holds. With keys, whatever it is about must be
// signed by one of them. What does not hold is ErrNotProved.
func (p Proof) Verify(keys ...note.Verifier) error {
	trees := []*Tree{&p.Tree}
	if p.Old != nil {
		trees = append(trees, p.Old)
	}
	for _, t := range trees {
		if err := t.verify(keys); err != nil {
			return fmt.Errorf("%w: %w", ErrNotProved, err)
		}
	}
	if err := p.check(); err != nil {
		return fmt.Errorf("%w: %w", ErrNotProved, err)
	}
	return nil
}

func (p Proof) check() error {
	if p.Old != nil {
		return merkle.CheckConsistency(p.Hashes, p.Old.Size, p.Old.Root, p.Tree.Size, p.Tree.Root)
	}
	r, err := p.Event()
	if err != nil {
		return err
	}
	return merkle.CheckInclusion(p.Hashes, r.Sequence, merkle.LeafOf(r), p.Tree.Size, p.Tree.Root)
}

func (t *Tree) verify(keys []note.Verifier) error {
	if t.Checkpoint == "" {
		if len(keys) > 0 {
			return fmt.Errorf("nobody signed what the log was at sequence %d", t.Size)
		}
		return nil
	}
	o := Options{Keys: keys}
	c, err := o.open([]byte(t.Checkpoint))
	if err != nil {
		return err
	}
	if c.Size != t.Size || c.Root != t.Root {
		return fmt.Errorf("its checkpoint is about sequence %d and root %s, not %d and %s", c.Size, c.Root, t.Size, t.Root)
	}
	return nil
}

// Event is the record that a proof of one is about.
func (p Proof) Event() (eventlog.Record, error) { return ParseRecord([]byte(p.Record)) }

// ParseRecord reads the line of a record as it stands in an export, or the same
// without the chain and without the end of the line. The chain is not verified.
func ParseRecord(line []byte) (eventlog.Record, error) {
	line = bytes.TrimSuffix(line, []byte("\n"))
	whole := append(bytes.Clone(line), '\n')
	r, c, ok := parseRecord(whole)
	if ok && bytes.Equal(appendRecordLine(nil, r, c), whole) {
		return r, nil
	}
	bare := append(appendChain(bytes.Clone(bytes.TrimSuffix(line, []byte("}"))), chain{}), "}\n"...)
	if r, _, ok = parseRecord(bare); !ok || !bytes.Equal(append(appendRecord(nil, r), '}'), line) {
		return eventlog.Record{}, errors.New("it is not the line of a record as an export writes it")
	}
	return r, nil
}
