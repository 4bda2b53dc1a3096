package identity

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

const td = "fleet.example"

func TestSPIFFEID(t *testing.T) {
	for sentence, c := range map[string]struct {
		id   fleet.NodeID
		want string
	}{
		"a plain id is its own path":                  {"node-1", "spiffe://fleet.example/node-1"},
		"slashes make segments":                       {"eu/west/node_1.a", "spiffe://fleet.example/eu/west/node_1.a"},
		"a colon is escaped":                          {"a:b", "spiffe://fleet.example/_enc/a_3Ab"},
		"an at sign is escaped, with all that follow": {"a@b/c_d.e-f", "spiffe://fleet.example/_enc/a_40b_2Fc_5Fd_2Ee-f"},
		"an empty segment is escaped":                 {"a//b", "spiffe://fleet.example/_enc/a_2F_2Fb"},
		"a slash at the end is escaped":               {"a/", "spiffe://fleet.example/_enc/a_2F"},
		"a dot segment is escaped":                    {"a/./b", "spiffe://fleet.example/_enc/a_2F_2E_2Fb"},
		"the marker itself is escaped":                {"_enc", "spiffe://fleet.example/_enc/_5Fenc"},
		"an id under the marker is escaped":           {"_enc/a", "spiffe://fleet.example/_enc/_5Fenc_2Fa"},
		"the marker elsewhere is an ordinary segment": {"a/_enc", "spiffe://fleet.example/a/_enc"},
		"what only begins like the marker is plain":   {"_encx", "spiffe://fleet.example/_encx"},
	} {
		t.Run(sentence, func(t *testing.T) {
			got, err := SPIFFEID(td, c.id)
			if err != nil || got != c.want {
				t.Fatalf("got %q, %v; want %q", got, err, c.want)
			}
			if back, err := NodeIDOf(td, got); err != nil || back != c.id {
				t.Fatalf("back: %q, %v", back, err)
			}
		})
	}
}

// A SPIFFE ID may have 2048 bytes. The longest trust domain and the longest id
// must come through a certificate, where the name is a URI.
func TestTheLongestIDsAreLegalInACertificate(t *testing.T) {
	domain := strings.Repeat("a", maxTrustDomainBytes)
	ca := newCA(t, domain)
	for _, id := range []fleet.NodeID{
		fleet.NodeID("a" + strings.Repeat("/", 127)), fleet.NodeID(strings.Repeat("a/", 64)), fleet.NodeID("b" + strings.Repeat(":", 127)),
		fleet.NodeID(strings.Repeat("@", 128)), fleet.NodeID(strings.Repeat("a/", 63) + "aa"),
	} {
		leaf, err := VerifyLeaf(issue(t, ca, id).CertificatePEM, [][]byte{ca.CertificatePEM()}, domain, id, t0)
		if err != nil {
			t.Fatal(err)
		}
		name := leaf.URIs[0].String()
		if back, err := NodeIDOf(domain, name); err != nil || back != id || len(name) > 2048 {
			t.Errorf("%q is named %q and read back as %q, %v", id, name, back, err)
		}
	}
}

func TestSPIFFEIDRefusesBadTrustDomains(t *testing.T) {
	for sentence, name := range map[string]string{
		"empty": "", "with a scheme": "spiffe://fleet.example", "upper case": "Fleet.example",
		"with a path": "fleet.example/a", "with a port": "fleet.example:80", "with a space": "a b",
		"two dots": "a..b", "a dot at the end": "a.", "a dot at the start": ".a",
		"too long": strings.Repeat("a", 256),
	} {
		t.Run(sentence, func(t *testing.T) {
			_, err := SPIFFEID(name, "n")
			if err == nil || !strings.Contains(err.Error(), "trust domain") {
				t.Fatalf("got %v", err)
			}
			if _, err := NodeIDOf(name, "spiffe://"+name+"/n"); err == nil {
				t.Fatal("NodeIDOf accepts it")
			}
		})
	}
	if _, err := SPIFFEID(td, "a..b"); err == nil {
		t.Fatal("an illegal node id is accepted")
	}
}

func TestNodeIDOfRefuses(t *testing.T) {
	for sentence, s := range map[string]string{
		"nothing":                          "",
		"another scheme":                   "https://fleet.example/a",
		"a scheme in upper case":           "SPIFFE://fleet.example/a",
		"another trust domain":             "spiffe://other.example/a",
		"a trust domain that is a prefix":  "spiffe://fleet.example.org/a",
		"no node":                          "spiffe://fleet.example",
		"an empty node":                    "spiffe://fleet.example/",
		"the marker alone":                 "spiffe://fleet.example/_enc",
		"nothing escaped":                  "spiffe://fleet.example/_enc/",
		"an escape that was not needed":    "spiffe://fleet.example/_enc/abc",
		"a needless escape among needed":   "spiffe://fleet.example/_enc/a_3A_62",
		"lower-case hex":                   "spiffe://fleet.example/_enc/a_3ab",
		"an escape that is cut off":        "spiffe://fleet.example/_enc/a_3",
		"a raw slash after the marker":     "spiffe://fleet.example/_enc/a/b_3A",
		"a byte that should be escaped":    "spiffe://fleet.example/a:b",
		"a slash at the end":               "spiffe://fleet.example/a/",
		"an escaped id that is no node id": "spiffe://fleet.example/_enc/a_20b",
		"a query":                          "spiffe://fleet.example/a?b",
	} {
		t.Run(sentence, func(t *testing.T) {
			if id, err := NodeIDOf(td, s); err == nil {
				t.Fatalf("accepted as %q", id)
			}
		})
	}
}

// TestSPIFFEIDLaw: each legal id comes back as it went.
func TestSPIFFEIDLaw(t *testing.T) {
	segment := rapid.StringMatching(`_enc|[a-zA-Z0-9_.:@/-]{0,12}`)
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOfN(segment, 1, 6).Draw(t, "parts")
		id, err := fleet.ParseNodeID(strings.Join(parts, "/"))
		if err != nil {
			t.Skip(err)
		}
		sid, err := SPIFFEID(td, id)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := NodeIDOf(td, sid); err != nil || back != id {
			t.Fatalf("%q became %q became %q, %v", id, sid, back, err)
		}
	})
}

func FuzzNodeIDOf(f *testing.F) {
	f.Add("spiffe://fleet.example/a/b")
	f.Add("spiffe://fleet.example/_enc/a_3Ab")
	f.Fuzz(func(t *testing.T, s string) {
		id, err := NodeIDOf(td, s)
		if err != nil {
			return
		}
		if again, err := SPIFFEID(td, id); err != nil || again != s {
			t.Fatalf("%q is read as %q, which is written %q, %v", s, id, again, err)
		}
	})
}
