package identity

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
)

const keyBlock = "PRIVATE KEY"

// LoadOrCreateKey returns the ECDSA P-256 key in the PKCS#8 PEM file at path,
// and makes it when there is none: mode 0600, in a folder that is made with
// mode 0700 when missing. Of two processes that create at once, both get the
// same key; created is true for the one that wrote it.
//
// A file that is damaged, or that others may read, is an error and stays as it
// is. The folder's file system must know hard links.
func LoadOrCreateKey(path string) (key *ecdsa.PrivateKey, created bool, err error) {
	key, err = loadKey(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, false, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, false, fmt.Errorf("create key %s: %w", path, err)
	}
	key, err = createKey(path)
	if errors.Is(err, fs.ErrExist) {
		key, err = loadKey(path)
		return key, false, err
	}
	return key, err == nil, err
}

func createKey(path string) (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("generate key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode key: %w", err)
	}
	if err := createFile(path, toPEM(keyBlock, der), 0o600); err != nil {
		return nil, err
	}
	return key, nil
}

func loadKey(path string) (*ecdsa.PrivateKey, error) {
	data, mode, err := readSmall(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("load key %s: %w", path, err)
	}
	if err != nil {
		return nil, fault(path, FileDamaged, fmt.Errorf("load key %s: %w", path, err))
	}
	if mode.Perm()&0o077 != 0 {
		return nil, fault(path, FilePermissions, fmt.Errorf("load key %s: its mode is %04o, so others can get at it: if none did, run chmod 600 %s; otherwise move it away and enroll with a new one", path, mode.Perm(), path))
	}
	key, ok := parseKey(data)
	if !ok {
		// The cause stays out of the message: it could quote the file.
		return nil, fault(path, FileDamaged, fmt.Errorf("load key %s: it does not hold one PKCS#8 PEM private key for ECDSA P-256: restore it from a backup, or move it away to have a new one made", path))
	}
	return key, nil
}

func parseKey(data []byte) (*ecdsa.PrivateKey, bool) {
	der, err := onePEM(data, keyBlock)
	if err != nil {
		return nil, false
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, false
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || key.Curve != elliptic.P256() || !ownHalf(der, key) {
		return nil, false
	}
	return key, true
}

// ownHalf says that the file says nothing else than the key, and that the public
// half in it, if there is one, is the private one's: x509 looks at the private half
// only, and a flipped bit beside it would go unnoticed, or make a node another.
func ownHalf(der []byte, key *ecdsa.PrivateKey) bool {
	var outer struct {
		Version    int
		Algorithm  pkix.AlgorithmIdentifier
		PrivateKey []byte
	}
	var inner struct {
		Version    int
		PrivateKey []byte
		Curve      asn1.ObjectIdentifier `asn1:"optional,explicit,tag:0"`
		PublicKey  asn1.BitString        `asn1:"optional,explicit,tag:1"`
	}
	if !readsWhole(der, &outer) || outer.Version != 0 || !readsWhole(outer.PrivateKey, &inner) {
		return false
	}
	public, err := key.PublicKey.Bytes()
	half := inner.PublicKey
	return err == nil && (half.BitLength == 0 || half.BitLength == 8*len(public) && bytes.Equal(public, half.Bytes))
}

// readsWhole reads der into the struct that v points to, and says whether that is all
// of it: asn1 passes over what it does not know.
func readsWhole(der []byte, v any) bool {
	if _, err := asn1.Unmarshal(der, v); err != nil {
		return false
	}
	again, err := asn1.Marshal(reflect.ValueOf(v).Elem().Interface())
	return err == nil && bytes.Equal(again, der)
}

// Fingerprint names a public key: "sha256:" and the lower-case hex SHA-256 of
// its SubjectPublicKeyInfo.
func Fingerprint(pub crypto.PublicKey) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return "", fmt.Errorf("fingerprint key: %w", err)
	}
	sum := sha256.Sum256(der)
	return "sha256:" + hex.EncodeToString(sum[:]), nil
}

func randomBytes(n int) ([]byte, error) {
	b := make([]byte, n)
	_, err := rand.Read(b)
	return b, err
}

// supportedKey says whether pub is of a kind that a node may have.
func supportedKey(pub crypto.PublicKey) bool {
	switch k := pub.(type) {
	case *ecdsa.PublicKey:
		return k != nil && k.Curve == elliptic.P256()
	case ed25519.PublicKey:
		return len(k) == ed25519.PublicKeySize
	}
	return false
}
