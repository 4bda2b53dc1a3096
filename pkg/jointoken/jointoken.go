package jointoken

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/fleetfold/fleetfold/pkg/attest"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// Bounds of how long a token may wait to be spent.
const (
	MinTTL     = time.Second
	MaxTTL     = 30 * 24 * time.Hour
	DefaultTTL = 10 * time.Minute
)

// remembered is how long an unspent token is kept beyond its end, so that who
// comes too late is told so.
const remembered = 24 * time.Hour

// Store keeps records, as eventlog.Bus does, with its errors.
type Store interface {
	CreateToken(ctx context.Context, id string, record []byte, keep time.Duration) error
	Token(ctx context.Context, id string) (record []byte, revision uint64, err error)
	UpdateToken(ctx context.Context, id string, record []byte, revision uint64) error
	DeleteToken(ctx context.Context, id string) error
	Tokens(ctx context.Context) (map[string][]byte, error)
}

// Tokens makes and verifies tokens.
type Tokens struct {
	Store Store
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

func (t Tokens) now() time.Time {
	if t.Now == nil {
		return time.Now()
	}
	return t.Now()
}

// Create makes a token for a node, to be spent within ttl, and returns it: it
// can never be read again.
func (t Tokens) Create(ctx context.Context, node fleet.NodeID, ttl time.Duration, actor, note string) (token string, r Record, err error) {
	if ttl < MinTTL || ttl > MaxTTL {
		return "", Record{}, fmt.Errorf("create token: it would last %s, must be %s to %s", ttl, MinTTL, MaxTTL)
	}
	token, now := draw(), t.now().UTC()
	r = Record{Node: node, Created: now, Expires: now.Add(ttl), Actor: actor, Note: note}
	r.ID, r.SHA256 = hashOf(token)
	text, err := json.Marshal(r)
	if err != nil {
		return "", Record{}, fmt.Errorf("encode token: %w", err)
	}
	keep := (ttl + remembered).Round(time.Second)
	if err := t.Store.CreateToken(ctx, r.ID, text, keep); err != nil {
		return "", Record{}, err
	}
	return token, r, nil
}

// Verify accepts the token in the question's payload, spending it if nobody has,
// or refuses it with a *fleet.Refusal. Any other error says that it could not be
// told; then the token may be spent for the question's key, and can be shown again.
func (t Tokens) Verify(ctx context.Context, q attest.Question) error {
	token, err := parse(q.Payload)
	if err != nil {
		return err
	}
	if q.Node == "" || q.KeyFingerprint == "" {
		return errors.New("verify token: the question names no node, or no key")
	}
	id, hash := hashOf(token)
	for {
		r, revision, err := t.read(ctx, id)
		if err != nil {
			return err
		}
		bind, err := r.judge(hash, q.Node, q.KeyFingerprint, t.now())
		if !bind {
			return err
		}
		r.KeyFingerprint, r.SpentAt = q.KeyFingerprint, t.now().UTC()
		text, err := json.Marshal(r)
		if err != nil {
			return fmt.Errorf("encode token: %w", err)
		}
		// Whoever loses the race judges what the winner left.
		if err := t.Store.UpdateToken(ctx, id, text, revision); !errors.Is(err, eventlog.ErrConflict) {
			return err
		}
	}
}

// read refuses a token that is not there.
func (t Tokens) read(ctx context.Context, id string) (r Record, revision uint64, err error) {
	text, revision, err := t.Store.Token(ctx, id)
	if errors.Is(err, eventlog.ErrNoToken) {
		return r, 0, refuse(ReasonUnknown, unknown)
	}
	if err != nil {
		return r, 0, err
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return r, 0, fmt.Errorf("decode token %s: %w", id, err)
	}
	return r, revision, nil
}

// List returns all records, by node and time.
func (t Tokens) List(ctx context.Context) ([]Record, error) {
	all, err := t.Store.Tokens(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]Record, 0, len(all))
	for id, text := range all {
		var r Record
		if err := json.Unmarshal(text, &r); err != nil {
			return nil, fmt.Errorf("decode token %s: %w", id, err)
		}
		list = append(list, r)
	}
	slices.SortFunc(list, func(a, b Record) int {
		return cmp.Or(cmp.Compare(a.Node, b.Node), a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID))
	})
	return list, nil
}

// Revoke ends a token, spent or not; eventlog.ErrNoToken if there is none. What
// it has led to stays: a credential is revoked by decommissioning its node.
func (t Tokens) Revoke(ctx context.Context, id string) error {
	if !ValidID(id) {
		return fmt.Errorf("revoke token: an id has %d lower-case hex digits", idLength)
	}
	for {
		// It may be spent at this very moment: then what was spent is revoked.
		if err := t.Store.DeleteToken(ctx, id); !errors.Is(err, eventlog.ErrConflict) {
			return err
		}
	}
}

// Forget ends the tokens that a node has spent: what let it in once does not let
// it in again. Those that wait for it are for its return, and stay.
func (t Tokens) Forget(ctx context.Context, node fleet.NodeID) error {
	list, err := t.List(ctx)
	if err != nil {
		return err
	}
	for _, r := range list {
		if r.Node != node || r.KeyFingerprint == "" {
			continue
		}
		if err := t.Revoke(ctx, r.ID); err != nil && !errors.Is(err, eventlog.ErrNoToken) {
			return err
		}
	}
	return nil
}
