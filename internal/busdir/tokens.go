package busdir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"strings"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"github.com/fleetfold/fleetfold/pkg/busconf"
)

// tokens signs operator, accounts and users of servers that ask for tokens.
type tokens struct {
	dir      string
	now      time.Time
	operator nkeys.KeyPair
	signing  map[busconf.Role]nkeys.KeyPair
	public   busconf.PublicKeys
	issued   *issued
}

func openTokens(o Options) (*tokens, error) {
	t := &tokens{dir: o.Dir, now: o.Now, signing: make(map[busconf.Role]nkeys.KeyPair)}
	t.public = busconf.PublicKeys{Accounts: make(map[string]string), Signing: make(map[busconf.Role]string)}
	for _, open := range []func() error{t.openOperator, t.openAccounts, t.openSigning} {
		if err := open(); err != nil {
			return nil, fmt.Errorf("open keys of the bus: %w", err)
		}
	}
	var err error
	if t.issued, err = openIssued(o); err != nil {
		return nil, fmt.Errorf("open list of what was issued: %w", err)
	}
	return t, nil
}

func (t *tokens) openOperator() error {
	have, err := readToken(operatorToken(t.dir), jwt.DecodeOperatorClaims)
	if err != nil {
		return err
	}
	known := ""
	if have != nil {
		known = have.Subject
	}
	t.operator, _, err = openKnown(operatorSeed(t.dir), nkeys.PrefixByteOperator, known)
	return err
}

func (t *tokens) openAccounts() error {
	for _, name := range busconf.AccountNames() {
		have, err := readToken(accountToken(t.dir, name), jwt.DecodeAccountClaims)
		if err != nil {
			return err
		}
		known := ""
		if have != nil {
			known = have.Subject
		}
		if _, t.public.Accounts[name], err = openKnown(accountSeed(t.dir, name), nkeys.PrefixByteAccount, known); err != nil {
			return err
		}
	}
	return nil
}

func (t *tokens) openSigning() error {
	for _, r := range busconf.Roles() {
		have, err := readToken(accountToken(t.dir, r.Account()), jwt.DecodeAccountClaims)
		if err != nil {
			return err
		}
		if t.signing[r], t.public.Signing[r], err = openKnown(signingSeed(t.dir, string(r)), nkeys.PrefixByteAccount, signer(have, r)); err != nil {
			return err
		}
	}
	return nil
}

// openKnown opens the key that a token names; without a token there may be a
// new one.
func openKnown(path string, kind nkeys.PrefixByte, known string) (nkeys.KeyPair, string, error) {
	pair, err := openSeed(path, kind, known == "")
	if err != nil {
		return nil, "", err
	}
	key, err := pair.PublicKey()
	if err != nil {
		return nil, "", fmt.Errorf("load key %s: %w", path, err)
	}
	if known != "" && key != known {
		return nil, "", fmt.Errorf("load key %s: it is another one than %s, which the token beside it names: restore it from a backup", path, known)
	}
	return pair, key, nil
}

// signer is the key by which a role's users are believed, "" where there is none.
func signer(account *jwt.AccountClaims, r busconf.Role) string {
	if account == nil {
		return ""
	}
	for key, scope := range account.SigningKeys {
		if user, ok := scope.(*jwt.UserScope); ok && user.Role == string(r) {
			return key
		}
	}
	return ""
}

// readToken is nil where there is no file.
func readToken[C any](path string, decode func(string) (*C, error)) (*C, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	claims, err := decode(strings.TrimSpace(string(text)))
	if err != nil {
		return nil, fmt.Errorf("read %s: it is not a token, or was changed: restore it from a backup", path)
	}
	return claims, nil
}

// abandon lets go of the list when nobody has closed it.
func (t *tokens) abandon() { _ = t.issued.file.Close() }

// close ends the list of what was issued: from here on it is known who is gone.
func (t *tokens) close(all []holder) error {
	wanted := make(map[string]bool, len(all))
	for _, h := range all {
		wanted[h.name()] = true
	}
	if err := t.issued.close(func(name string) bool { return wanted[name] }); err != nil {
		return fmt.Errorf("write list of what was issued: %w", err)
	}
	t.public.Revoked = t.issued.revocations()
	return nil
}

// sign renders what a server is told. Tokens that say the same already stay as
// they are, so that nothing has to be read again.
func (t *tokens) sign(c busconf.Config) (busconf.Signed, error) {
	key, err := t.operator.PublicKey()
	if err != nil {
		return busconf.Signed{}, fmt.Errorf("sign operator: %w", err)
	}
	signed := busconf.Signed{System: t.public.Accounts[busconf.SystemAccount]}
	if signed.Operator, err = keep(t, operatorToken(t.dir), busconf.OperatorClaims(key, t.public), jwt.DecodeOperatorClaims); err != nil {
		return busconf.Signed{}, fmt.Errorf("sign operator: %w", err)
	}
	all, err := c.AccountClaims(t.public)
	if err != nil {
		return busconf.Signed{}, err
	}
	for _, claims := range all {
		token, err := keep(t, accountToken(t.dir, claims.Name), claims, jwt.DecodeAccountClaims)
		if err != nil {
			return busconf.Signed{}, fmt.Errorf("sign account %s: %w", claims.Name, err)
		}
		signed.Accounts = append(signed.Accounts, busconf.SignedAccount{Name: claims.Name, Key: claims.Subject, Token: token})
	}
	return signed, nil
}

// keep returns the token of a file if it claims this, and else a new one, which
// it writes there.
func keep[C any, P interface {
	*C
	jwt.Claims
}](t *tokens, path string, claims P, decode func(string) (*C, error)) (string, error) {
	token, err := claims.Encode(t.operator)
	if err != nil {
		return "", err
	}
	want, err := decode(token)
	if err != nil {
		return "", err
	}
	have, err := readToken(path, decode)
	if err != nil {
		return "", err
	}
	if have != nil && sameClaims(P(have), P(want)) {
		text, err := os.ReadFile(path)
		return strings.TrimSpace(string(text)), err
	}
	_, err = replace(path, []byte(token+"\n"))
	return token, err
}

// sameClaims compares all but when they were signed.
func sameClaims(a, b jwt.Claims) bool {
	for _, c := range []jwt.Claims{a, b} {
		c.Claims().IssuedAt, c.Claims().ID = 0, ""
	}
	return reflect.DeepEqual(a, b)
}
