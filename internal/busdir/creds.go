package busdir

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"github.com/fleetfold/fleetfold/pkg/busconf"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/identity"
)

// issue gives the holder a token where there is none that fits. The key stays,
// unless it was revoked, or is that of another.
func (t *tokens) issue(h holder) (change, error) {
	path := filepath.Join(h.folder, CredsFile)
	claims, pair, err := readCreds(path)
	done := renewed
	switch {
	case err != nil:
		return kept, err
	case claims == nil || t.issued.spent(claims.Subject, h):
		if claims == nil {
			done = created
		}
		if pair, err = nkeys.CreateUser(); err != nil {
			return kept, fmt.Errorf("make key for %s: %w", path, err)
		}
	case t.fits(claims, h):
		t.issued.note(h, claims.Subject, time.Unix(claims.Expires, 0))
		return kept, nil
	}
	return done, t.write(path, h, pair)
}

func (t *tokens) claims(h holder, key string, ends time.Time) *jwt.UserClaims {
	token := ""
	if h.role == busconf.Node {
		token = events.Token(h.node)
	}
	return busconf.UserClaims(h.role, token, key, t.public, ends)
}

// fits says whether a token says what is so, and for long enough: see
// authority.fits.
func (t *tokens) fits(have *jwt.UserClaims, h holder) bool {
	ends := time.Unix(have.Expires, 0)
	want := t.claims(h, have.Subject, ends)
	life := ends.Sub(ends.AddDate(-leafYears, 0, 0))
	return have.Issuer == t.public.Signing[h.role] && have.Name == want.Name && have.IssuerAccount == want.IssuerAccount &&
		have.HasEmptyPermissions() && have.Expires > 0 && t.now.Before(ends.Add(-life/3))
}

func (t *tokens) write(path string, h holder, pair nkeys.KeyPair) error {
	key, err := pair.PublicKey()
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	seed, err := pair.Seed()
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	ends := t.now.AddDate(leafYears, 0, 0)
	token, err := t.claims(h, key, ends).Encode(t.signing[h.role])
	if err != nil {
		return fmt.Errorf("sign %s: %w", path, err)
	}
	text, err := jwt.FormatUserConfig(token, seed)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	// First the list: what is not on it could never be revoked.
	if err := t.issued.add(h, key, ends); err != nil {
		return err
	}
	return identity.WriteFileAtomic(path, text, 0o600)
}

// readCreds is nil where there is no file.
func readCreds(path string) (*jwt.UserClaims, nkeys.KeyPair, error) {
	text, err := readPrivate(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	// The cause stays out of the message: it could quote the file.
	broken := fmt.Errorf("read %s: it does not hold one user's token and key: restore it from a backup, or delete it to have a new one made", path)
	token, err := jwt.ParseDecoratedJWT(text)
	if err != nil {
		return nil, nil, broken
	}
	claims, err := jwt.DecodeUserClaims(token)
	if err != nil {
		return nil, nil, broken
	}
	pair, err := jwt.ParseDecoratedUserNKey(text)
	if err != nil {
		return nil, nil, broken
	}
	if key, err := pair.PublicKey(); err != nil || key != claims.Subject {
		return nil, nil, broken
	}
	return claims, pair, nil
}

// CheckCreds says what is wrong with a file of credentials before a server does,
// which tells nobody the reason.
func CheckCreds(path string, now time.Time) error {
	claims, _, err := readCreds(path)
	switch {
	case err != nil:
		return err
	case claims == nil:
		return fmt.Errorf("read %s: %w", path, fs.ErrNotExist)
	case claims.Expires > 0 && now.Unix() > claims.Expires:
		return fmt.Errorf("read %s: its token ended at %s: run 'fleetfold nats config' again, and copy the new one here", path, time.Unix(claims.Expires, 0).UTC().Format(time.RFC3339))
	}
	return nil
}
