// What to do about codes that src throws without a remedy, or with several that are too particular for a page.

export const REMEDIES = {
  ANNOTATION_DUPLICATE: 'Give each annotation once.',
  ANNOTATION_INVALID: 'Write it as --annotation "key=value"; a time as 2026-01-31T12:00:00Z.',
  ANSWER_INVALID: 'See that the address is that of a registry, and that no proxy answers in its place.',
  ARCHIVE_INVALID: 'Push the folder again; the layer is broken, or was not made by a client of this kind.',
  BLOB_UNKNOWN: 'See that the digest exists in this repository; where it should, push the image again.',
  CA_FILE_UNREADABLE: 'Give the path of a PEM file that may be read.',
  CERTIFICATE_INVALID: 'Give X.509 certificates as PEM, each of usual size.',
  CONFIRMATION_MISSING: 'Say --force as well: a descriptor that is printed leaves no room for a question.',
  CONNECTION_CLOSED: 'It is tried again; if it stays, look at the network, and at proxies that close connections.',
  CONNECT_FAILED:
    'See that host name and port are right, and that the registry runs and can be reached; then its TLS certificate (--ca-file), plain HTTP (--plain-http) and the proxy.',
  DESCRIPTOR_INVALID: 'Push the manifest again with a client that follows the image specification 1.1.',
  DIGEST_INVALID: 'Write it as sha256:<64 hex digits> or sha512:<128 hex digits>, in lower case.',
  DIGEST_MISMATCH:
    'Try again: bytes were changed on the way, or are broken where they are kept. Where you gave the digest yourself, it is of other bytes: name a tag instead.',
  EVIDENCE_MISSING:
    'Sign the image as the rule (or the job) asks; the push of the signature starts the next run. Or trust who has signed it.',
  FILE_CHANGED: 'Let nothing write to the folder while it is pushed, and push again.',
  FILE_EXISTS:
    'Pull to another folder, or allow that files are written over (without --keep-old-files, "keepOldFiles").',
  FILE_NAME_DUPLICATE:
    'Give each file a name of its own; to pull them all, copy to an OCI image layout (copy --to-oci-layout).',
  FILE_NAME_MISSING: 'Give the file a name.',
  FILE_NOT_FOUND: 'See that the path is right; for a job, put the file into the container "source" before it is sent.',
  FILE_TOO_LARGE: 'Split the file, or push it with the command line, which has no such bound.',
  FILE_UNREADABLE: 'See that the path is right and that the file may be read.',
  FILE_UNWRITABLE: 'Give another path, or make room and permission for it.',
  GRAPH_CYCLE: 'Push the index again: manifests that contain each other are no image.',
  GRAPH_TOO_DEEP: 'Take a part of it: one platform, without referrers, fewer levels (--depth).',
  GRAPH_TOO_WIDE: 'Take a part of it: one platform, without referrers, fewer levels (--depth).',
  INTERNAL:
    'A bug, or a part of the host that failed: look at the log of that moment, which has the stack, and report it.',
  JOB_INVALID: 'Set right what is listed, and send one job as a JSON object; docs/jobs.md has the fields.',
  JOB_UNKNOWN: 'See that the id is right; the row may have been kept long enough and be gone.',
  LAYOUT_INVALID:
    'Give an OCI image layout: a folder, or an uncompressed tar archive of one, with oci-layout, index.json and blobs/.',
  LEASE_LOST: 'It is tried again, and nothing was written after the loss; a command is run again.',
  LOCATION_INVALID: 'Look at the registry, or at the proxy before it: the address that it gives for an upload is none.',
  MANIFEST_INVALID: 'Push the image again with a client that follows the image specification 1.1.',
  MESSAGE_DELAY_INVALID: 'A message can be hidden for a week at most.',
  MOVED_BY_HOST:
    "Look at the host's log of that time; the message is kept as it came, and can be put back into its queue.",
  NOT_A_FILE: 'Name a file.',
  OPERATION_UNKNOWN: 'docs/jobs.md has the operations of a job.',
  OPTIONS_EXCLUSIVE: 'Give one of the options that the message names.',
  OPTION_INVALID: 'Write the option as its help says (acr-promoter <verb> --help).',
  OPTION_MISSING: 'Give the option that the message names.',
  OPTION_REQUIRED: 'Give the option that the message names.',
  NO_ACR_LISTS:
    'Nothing if the registry is not ACR: full scans find changes. If it is, let the identity read metadata (metadata_read).',
  OUTPUT_UNKNOWN: 'See in its run whether it has ended, and how: only what succeeded has an output, and not for ever.',
  PAGE_SIZE_INVALID: 'Ask for 1 to 100 rows.',
  PATH_OUTSIDE:
    'Pull to another folder, or remove the link that leads out of it. Who trusts the content may allow it (--allow-path-traversal).',
  PLATFORM_NOT_FOUND: 'Choose one of the platforms that the message names.',
  PROMOTION_UNKNOWN: 'See that the id is right (GET /api/promotions).',
  REDIRECT_REFUSED: 'Look at the registry, or at the proxy before it: it sends to an address that is not followed.',
  REFERENCE_INVALID: 'Write it as registry[:port]/repository[:tag][@digest], with the repository in lower case.',
  REFERRERS_INDEX_BUSY: 'It is tried again; if it stays, see who else writes referrers of this image.',
  REFERRER_LOST:
    'Copy or attach again; where it stays so, the registry does not keep its list of referrers: ask its operator.',
  REGISTRY_NOT_ALLOWED: 'Name the registry in ALLOWED_REGISTRIES, if the app is to talk to it.',
  RULES_INVALID:
    'Correct the rules document (docs/rules.md describes each field); nothing is promoted until it can be read.',
  RULES_UNREADABLE:
    'Put the rules where PROMOTION_RULES says, and let the app read them (a blob: Storage Blob Data Reader).',
  REQUEST_INVALID: 'Send what the message names, or no body (docs/operations.md).',
  RUN_ENDED:
    'Nothing: the run has ended, so it cannot be stopped, and a step of it that comes late does nothing. To do a job again, send it under another id.',
  RUN_LOST:
    'Of a promotion: nothing, where it happens once: the next run follows. Otherwise look into the log of the host for why its orchestrations end. Of a job: see what it has done, and send it again under another id; one that only reads, copies or promotes was started once more before.',
  RUN_UNKNOWN: 'See that the id is right (GET /api/runs); the row may have been kept long enough and be gone.',
  SETTING_INVALID: 'Correct the variable that the message names.',
  SIGNATURE_TOO_LARGE: 'Sign the image again: an envelope of this size is none that a usual client makes.',
  SIGNING_CERTIFICATE_INVALID:
    'Give the whole chain as PEM, signing certificate first and root last; the signing certificate needs a critical key usage of digitalSignature and nothing more.',
  SIGNING_CERTIFICATE_UNREADABLE: 'Set SIGNING_CERTIFICATE_CHAIN to a file that is there and that the app may read.',
  SIGNING_KEY_UNREADABLE: 'Set SIGNING_KEY to a file that is there and that the app may read.',
  SIZE_MISMATCH:
    'Try again: bytes are missing, or there are more than were announced. Where you gave the size yourself, correct it.',
  SIZE_UNKNOWN: 'Look at the registry: it does not tell how large a blob is.',
  SOURCE_GONE: 'Nothing, where the tag was meant to go; what stands at the destination stays.',
  SOURCE_MISSING: 'Plan the copy again, with its source at hand.',
  STALLED: 'It is tried again; if it stays, look at the network between, and at the registry.',
  TIMEOUT: 'It is tried again; if it stays, look at the network between, and at the registry.',
  TOKEN_INVALID: "Look at the registry's token service: its answer holds no token.",
  TOO_LARGE: 'What is that large is none of what was asked for; unpack more with --unpack-limit if you trust it.',
  TOO_MANY_FILES: 'Pull it with the command line, or push fewer files in one artifact.',
  TOO_MANY_PAGES: 'Look at the registry: its list does not end.',
  TOO_MANY_REDIRECTS: 'Look at the registry, or at the proxy before it: it sends around in circles.',
  TRUST_STORE_INVALID:
    'Give the certificates of those who may sign as PEM (roots, intermediates, self-signed ones), and their identities, or "*".',
  USAGE_INVALID: 'Write the command as its help says (acr-promoter <verb> --help).',
};
