package snapshot

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// filler gives every field of an image a value of its own, so that a field that
// the wire forgets, or takes for another, does not come back.
type filler struct{ n int }

func (f *filler) fill(v reflect.Value) {
	f.n++
	switch {
	case v.Type() == reflect.TypeFor[time.Time]():
		v.Set(reflect.ValueOf(time.Unix(int64(f.n), int64(f.n)).UTC()))
		return
	case v.Type() == reflect.TypeFor[fleet.ActionType]():
		v.SetString(string(fleet.ActionTypes[f.n%len(fleet.ActionTypes)]))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			f.fill(v.Field(i))
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		f.fill(v.Elem())
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			v.SetBytes(fmt.Appendf(nil, "bytes %d", f.n))
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		f.fill(v.Index(0))
		f.fill(v.Index(1))
	case reflect.String:
		v.SetString(fmt.Sprint("text ", f.n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int:
		v.SetInt(int64(f.n))
	case reflect.Uint64:
		v.SetUint(uint64(f.n))
	case reflect.Float64:
		v.SetFloat(float64(f.n) + 0.1)
	default:
		panic(fmt.Sprintf("no value for %s", v.Type()))
	}
}

// kept is a copy: the reader uses its memory again.
func kept(i *projection.IDImage) projection.IDImage {
	k := *i
	k.Losses, k.Earlier, k.Attempts = slices.Clone(i.Losses), slices.Clone(i.Earlier), slices.Clone(i.Attempts)
	if i.Node == nil {
		return k
	}
	n := *i.Node
	for _, c := range []**projection.Credential{&n.Issued, &n.Proved} {
		if *c != nil {
			own := **c
			*c = &own
		}
	}
	k.Node = &n
	return k
}

// there is the image that comes back.
func there(t *testing.T, img *projection.Image) *projection.Image {
	t.Helper()
	var out bytes.Buffer
	b := newBody(&out)
	if err := b.image(img, slices.Values(img.IDs)); err != nil {
		t.Fatal(err)
	}
	r := &bodyReader{r: bufio.NewReader(&out), source: new(source), sum: sha256.New()}
	r.source.n.Store(uint64(out.Len()))
	var ids []projection.IDImage
	r.begin = func(projection.Image) error { return nil }
	r.add = func(i *projection.IDImage) error { ids = append(ids, kept(i)); return nil }
	if err := r.image(); err != nil {
		t.Fatal(err)
	}
	r.img.IDs = ids
	return &r.img
}

func TestEveryFieldOfAnImageGoesThroughTheWire(t *testing.T) {
	var img projection.Image
	(&filler{}).fill(reflect.ValueOf(&img).Elem())
	for i := range img.IDs { // what the image says twice, the wire says once
		n := img.IDs[i].Node
		n.ID, n.Epoch, n.Last = img.IDs[i].ID, img.IDs[i].Epoch, 0
	}
	if diff := cmp.Diff(&img, there(t, &img)); diff != "" {
		t.Errorf("-sent +came:\n%s", diff)
	}
	if diff := cmp.Diff(new(projection.Image), there(t, new(projection.Image))); diff != "" {
		t.Errorf("empty: -sent +came:\n%s", diff)
	}
}

// A false that the filler cannot tell from a forgotten one.
func TestEachFlagIsItsOwn(t *testing.T) {
	for name, set := range map[string]func(*projection.Node){
		"present": func(n *projection.Node) { n.Present = true },
		"lost":    func(n *projection.Node) { n.Lost = true },
		"issued":  func(n *projection.Node) { n.Issued = &projection.Credential{Serial: "a"} },
		"proved":  func(n *projection.Node) { n.Proved = &projection.Credential{Serial: "a"} },
		"both":    func(n *projection.Node) { n.Issued = &projection.Credential{Serial: "a"}; n.Proved = n.Issued },
	} {
		n := projection.Node{ID: "n"}
		set(&n)
		img := projection.Image{IDs: []projection.IDImage{{ID: "n", Node: &n}}}
		if diff := cmp.Diff(&img, there(t, &img)); diff != "" {
			t.Errorf("%s: -sent +came:\n%s", name, diff)
		}
	}
}

// Proved and issued may be one credential or two that are equal: the state is
// the same, and so must be its hash.
func TestEqualCredentialsAreOne(t *testing.T) {
	hash := func(issued, proved *projection.Credential) Hash {
		b := newBody(new(bytes.Buffer))
		img := projection.Image{IDs: []projection.IDImage{{ID: "n", Node: &projection.Node{ID: "n", Issued: issued, Proved: proved}}}}
		if err := b.image(&img, slices.Values(img.IDs)); err != nil {
			t.Fatal(err)
		}
		return b.hash()
	}
	one := &projection.Credential{Serial: "a", Issuer: "i"}
	other := *one
	if hash(one, one) != hash(one, &other) {
		t.Error("the hash depends on how the state was reached")
	}
	if hash(one, nil) == hash(one, one) || hash(nil, one) == hash(one, nil) {
		t.Error("the hash does not tell issued from proved")
	}
}

func TestTimesKeepTheirNanoseconds(t *testing.T) {
	for _, at := range []time.Time{
		{}, time.Unix(0, 0).UTC(), time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC), time.Date(-1, 2, 3, 4, 5, 6, 7, time.UTC),
		time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC),
	} {
		if back := toTime(at).time(); back != at {
			t.Errorf("%v came back as %v", at, back)
		}
	}
}
