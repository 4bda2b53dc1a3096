package identity

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func mode(t *testing.T, path string) fs.FileMode {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().Perm()
}

func onlyFiles(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Fatalf("folder holds %v, want %v", got, want)
	}
}

func TestLoadOrCreateKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "made", "node.key")
	key, created, err := LoadOrCreateKey(path)
	if err != nil || !created {
		t.Fatalf("created %v, %v", created, err)
	}
	if m := mode(t, path); m != 0o600 {
		t.Errorf("key mode %04o", m)
	}
	if m := mode(t, filepath.Dir(path)); m != 0o700 {
		t.Errorf("folder mode %04o", m)
	}
	onlyFiles(t, filepath.Dir(path), "node.key")
	again, created, err := LoadOrCreateKey(path)
	if err != nil || created || !again.Equal(key) {
		t.Fatalf("second call: same %v, created %v, %v", again.Equal(key), created, err)
	}
}

func TestLoadOrCreateKeyRefuses(t *testing.T) {
	good := func(t *testing.T) []byte {
		der, err := x509.MarshalPKCS8PrivateKey(newKey(t))
		if err != nil {
			t.Fatal(err)
		}
		return toPEM(keyBlock, der)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	other, err := x509.MarshalPKCS8PrivateKey(p384)
	if err != nil {
		t.Fatal(err)
	}
	whole := good(t)
	for sentence, c := range map[string]struct {
		data []byte
		perm fs.FileMode
		says string
	}{
		"an empty file":               {nil, 0o600, "restore it"},
		"a file cut off":              {whole[:len(whole)/2], 0o600, "restore it"},
		"two keys":                    {append(good(t), good(t)...), 0o600, "restore it"},
		"something before the key":    {append([]byte("x\n"), whole...), 0o600, "restore it"},
		"a key of another curve":      {toPEM(keyBlock, other), 0o600, "P-256"},
		"a block of another type":     {toPEM("EC PRIVATE KEY", other), 0o600, "restore it"},
		"a huge file":                 {make([]byte, maxFileBytes+1), 0o600, "larger"},
		"a key that its group reads":  {whole, 0o640, "chmod 600"},
		"a key that everybody reads":  {whole, 0o604, "chmod 600"},
		"a key that others may write": {whole, 0o602, "chmod 600"},
	} {
		t.Run(sentence, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "node.key")
			if err := os.WriteFile(path, c.data, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, c.perm); err != nil {
				t.Fatal(err)
			}
			_, _, err := LoadOrCreateKey(path)
			if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("got %v", err)
			}
			if body := strings.Split(string(whole), "\n")[1]; strings.Contains(err.Error(), body) {
				t.Fatal("the error holds the key")
			}
			after, err := os.ReadFile(path)
			if err != nil || string(after) != string(c.data) || mode(t, path) != c.perm {
				t.Fatal("the file was changed")
			}
		})
	}
	if _, _, err := LoadOrCreateKey(t.TempDir()); err == nil {
		t.Fatal("a folder is taken for a key")
	}
}

// Whatever bit of a key is flipped, it is not the key any more, also where the private
// number is as it was.
func TestAKeyWithABitFlippedIsNone(t *testing.T) {
	der, err := x509.MarshalPKCS8PrivateKey(newKey(t))
	if err != nil {
		t.Fatal(err)
	}
	for bit := range 8 * len(der) {
		der[bit/8] ^= 1 << (bit % 8)
		if _, ok := parseKey(toPEM(keyBlock, der)); ok {
			t.Errorf("with bit %d of byte %d flipped it is taken", bit%8, bit/8)
		}
		der[bit/8] ^= 1 << (bit % 8)
	}
	if _, ok := parseKey(toPEM(keyBlock, der)); !ok {
		t.Error("as it was it is not taken")
	}
}

// Other programs leave the public half out, or name the curve twice.
func TestAKeyInAnotherForm(t *testing.T) {
	key := newKey(t)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	var outer struct {
		Version    int
		Algorithm  pkix.AlgorithmIdentifier
		PrivateKey []byte
	}
	if _, err := asn1.Unmarshal(der, &outer); err != nil {
		t.Fatal(err)
	}
	number, err := key.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	p256 := asn1.ObjectIdentifier{1, 2, 840, 10045, 3, 1, 7}
	for sentence, inner := range map[string]any{
		"the private half alone": struct {
			Version int
			Number  []byte
		}{1, number},
		"the curve twice": struct {
			Version int
			Number  []byte
			Curve   asn1.ObjectIdentifier `asn1:"explicit,tag:0"`
		}{1, number, p256},
	} {
		if outer.PrivateKey, err = asn1.Marshal(inner); err != nil {
			t.Fatal(err)
		}
		text, err := asn1.Marshal(outer)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := parseKey(toPEM(keyBlock, text)); !ok || !got.Equal(key) {
			t.Errorf("%s: taken %v", sentence, ok)
		}
	}
}

func TestLoadOrCreateKeyAtOnceGivesOneKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "k", "node.key")
	const n = 8
	keys, made := make([]*ecdsa.PrivateKey, n), make([]bool, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			var err error
			if keys[i], made[i], err = LoadOrCreateKey(path); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	winners := 0
	for i := range n {
		if !keys[i].Equal(keys[0]) {
			t.Fatal("two keys")
		}
		if made[i] {
			winners++
		}
	}
	if winners != 1 {
		t.Fatalf("%d calls say that they made the key", winners)
	}
	onlyFiles(t, filepath.Dir(path), "node.key")
}

func TestWriteFileAtomic(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	for _, text := range []string{"one", "two"} {
		if err := WriteFileAtomic(path, []byte(text), 0o640); err != nil {
			t.Fatal(err)
		}
		if got, _ := os.ReadFile(path); string(got) != text {
			t.Fatalf("got %q", got)
		}
	}
	if m := mode(t, path); m != 0o640 {
		t.Fatalf("mode %04o", m)
	}
	onlyFiles(t, dir, "f")
	if err := WriteFileAtomic(filepath.Join(dir, "none", "f"), nil, 0o600); err == nil {
		t.Fatal("a missing folder is no error")
	}
	if err := os.MkdirAll(filepath.Join(dir, "d", "full"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := WriteFileAtomic(filepath.Join(dir, "d"), nil, 0o600); err == nil {
		t.Fatal("a folder is overwritten")
	}
	onlyFiles(t, dir, "d", "f")
}

func TestFingerprint(t *testing.T) {
	got, err := Fingerprint(&newKey(t).PublicKey)
	if err != nil || !strings.HasPrefix(got, "sha256:") || len(got) != len("sha256:")+64 {
		t.Fatalf("got %q, %v", got, err)
	}
	if _, err := Fingerprint("no key"); err == nil {
		t.Fatal("a string has a fingerprint")
	}
}
