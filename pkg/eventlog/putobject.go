package eventlog

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/nats-io/nats.go/jetstream"
)

// objectChunk is how many bytes one message of a stored object has at most.
const objectChunk = 128 << 10

// putObject stores what r gives, in the layout that every client of an object
// store reads. Each part is stored before the next is sent: the client library
// sends them without waiting, and the goroutine it starts for that may outlive
// the connection. After an error of r, or of a part, the object is not there, and
// the one that had its name is as it was; the parts that are stored by then have
// the id that is returned.
func (b *Bus) putObject(ctx context.Context, bucket, name string, chunk int, r io.Reader) (id string, err error) {
	// The client library asks for the stream first, which people may not.
	_, err = b.objectInfo(ctx, bucket, name)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return "", fmt.Errorf("open object store %s: %w", bucket, plain(jetstream.ErrBucketNotFound))
	case err != nil && !errors.Is(err, errNoObject) && !errors.Is(err, errObjectDamaged):
		return "", err
	}
	info := jetstream.ObjectInfo{
		ObjectMeta: jetstream.ObjectMeta{Name: name, Opts: &jetstream.ObjectMetaOptions{ChunkSize: uint32(chunk)}},
		Bucket:     bucket,
		NUID:       rand.Text(),
	}
	if err := b.putChunks(ctx, &info, chunk, r); err != nil {
		return info.NUID, err
	}
	return "", b.putInfo(ctx, info)
}

// putChunks stores the parts, and notes in info how many, their size and digest.
func (b *Bus) putChunks(ctx context.Context, info *jetstream.ObjectInfo, chunk int, r io.Reader) error {
	hash, part := sha256.New(), make([]byte, chunk)
	for {
		n, err := io.ReadFull(r, part)
		if n > 0 {
			hash.Write(part[:n])
			if _, err := b.js.Publish(ctx, objectChunks(info.Bucket, info.NUID), part[:n]); err != nil {
				return err
			}
			info.Chunks++
			info.Size += uint64(n)
		}
		switch {
		case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
			info.Digest = "SHA-256=" + base64.URLEncoding.EncodeToString(hash.Sum(nil))
			return nil
		case err != nil:
			return err
		}
	}
}

// putInfo makes the object be there, instead of the one that had its name. After
// an error it may be there all the same.
func (b *Bus) putInfo(ctx context.Context, info jetstream.ObjectInfo) error {
	data, err := json.Marshal(info)
	if err != nil {
		return err
	}
	_, err = b.js.Publish(ctx, objectMeta(info.Bucket, info.Name), data)
	return err
}

// objectChunks is the subject of an object's parts.
func objectChunks(bucket, id string) string { return "$O." + bucket + ".C." + id }

// objectMeta is the subject of what the store says of an object.
func objectMeta(bucket, name string) string {
	return "$O." + bucket + ".M." + base64.URLEncoding.EncodeToString([]byte(name))
}
