package authz

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
)

// RequestID is the id of an approval request: a UUIDv8 (RFC 9562) made from
// token, organization and round, so that it is known before it is stored and
// opening twice is opening once. The round is the number of the pair's requests
// before this one.
func RequestID(token, organization string, round int) string {
	sum := sha256.Sum256([]byte(token + "\x00" + organization + "\x00" + strconv.Itoa(round)))
	id := sum[:16]
	id[6] = id[6]&0x0f | 0x80
	id[8] = id[8]&0x3f | 0x80
	h := hex.EncodeToString(id)
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
