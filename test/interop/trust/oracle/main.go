// Reads manifests and configs as container runtimes do: into structs, with encoding/json. One base64 text a line; for each a line
// of JSON that says what was read. The structs have the fields and tags of image-spec's specs-go/v1 and of Docker's schema 2.
package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"os"
)

type platform struct {
	Architecture string   `json:"architecture"`
	OS           string   `json:"os"`
	OSVersion    string   `json:"os.version,omitempty"`
	OSFeatures   []string `json:"os.features,omitempty"`
	Variant      string   `json:"variant,omitempty"`
}

type descriptor struct {
	MediaType    string            `json:"mediaType"`
	Digest       string            `json:"digest"`
	Size         int64             `json:"size"`
	URLs         []string          `json:"urls,omitempty"`
	Annotations  map[string]string `json:"annotations,omitempty"`
	Data         []byte            `json:"data,omitempty"`
	Platform     *platform         `json:"platform,omitempty"`
	ArtifactType string            `json:"artifactType,omitempty"`
}

// An image manifest and an index in one: a program reads it as what it takes it for.
type manifest struct {
	SchemaVersion int               `json:"schemaVersion"`
	MediaType     string            `json:"mediaType,omitempty"`
	ArtifactType  string            `json:"artifactType,omitempty"`
	Config        *descriptor       `json:"config,omitempty"`
	Layers        []descriptor      `json:"layers,omitempty"`
	Manifests     []descriptor      `json:"manifests,omitempty"`
	Subject       *descriptor       `json:"subject,omitempty"`
	Annotations   map[string]string `json:"annotations,omitempty"`
}

type image struct {
	Architecture string `json:"architecture"`
	OS           string `json:"os"`
	RootFS       struct {
		Type    string   `json:"type"`
		DiffIDs []string `json:"diff_ids"`
	} `json:"rootfs"`
}

type answer struct {
	Manifest *manifest `json:"manifest,omitempty"`
	// How many layers the config lists, as json.Unmarshal reads it (containerd, Docker, podman); -1 if it refuses.
	Unmarshalled int `json:"unmarshalled"`
	// The same by json.Decoder, which ignores what comes after the value (go-containerregistry).
	Decoded int `json:"decoded"`
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 64<<20)
	out := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		text, err := base64.StdEncoding.DecodeString(lines.Text())
		if err != nil {
			panic(err)
		}
		said := answer{Unmarshalled: -1, Decoded: -1}
		var read manifest
		if json.Unmarshal(text, &read) == nil {
			said.Manifest = &read
		}
		var whole, first image
		if json.Unmarshal(text, &whole) == nil {
			said.Unmarshalled = len(whole.RootFS.DiffIDs)
		}
		if json.NewDecoder(bytes.NewReader(text)).Decode(&first) == nil {
			said.Decoded = len(first.RootFS.DiffIDs)
		}
		if out.Encode(said) != nil {
			os.Exit(1)
		}
	}
}
