/** One command of the guide, and how it is run here. */
export interface GuideCommand {
  /** As the guide has it, on one line. */
  line: string;
  /** What the guide takes for granted at this place and never made. Run before it. */
  before?: string;
  /** Run in its place, and why. */
  instead?: string;
  /** Not run at all. Only lines of az, curl, tar, cp and tree. */
  notRun?: true;
  why?: string;
  /** What is typed when it asks. */
  input?: string;
  /** Shows what a variable holds now. */
  shows?: string;
  /** What must be in the output. */
  prints?: RegExp;
  /** The job that does the same. */
  job?: GuideJob;
  /** What must stand in the app's container `source` before it: names and content. */
  jobBlobs?: Readonly<Record<string, string>>;
}

export type GuideJob = Record<string, unknown> & { operation: string };

const R = 'myregistry.azurecr.io';
const IMAGE = `${R}/net-monitor:v1`;
const DIGEST = /^sha256:[0-9a-f]{64}$/m;
const ELSEWHERE = 'Installing oras; here `npm install` of this package takes its place.';
const SECRET = 'The local registry has no Azure behind it: the test knows the password, as `az` would print it.';
const LOGIN = 'oras login $REGISTRY --username $USER_NAME --password $PASSWORD';
const PUSH_IMAGE =
  'oras push $IMAGE --config ./image.json:application/vnd.oci.image.config.v1+json ./image.tar:application/vnd.oci.image.layer.v1.tar';
const SIGNATURE = `echo '{"artifact": "'\${IMAGE}'", "signature": "jayden hancock"}' > signature.json`;
const SBOM = `echo '{"version": "0.0.0.0", "artifact": "'\${IMAGE}'", "contents": "good"}' > sbom.json`;
const ATTACH_SIGNATURE = 'oras attach $IMAGE --artifact-type signature/example ./signature.json:application/json';
const ATTACH_SBOM = 'oras attach $IMAGE --artifact-type sbom/example ./sbom.json:application/json';
const FIND_SBOM =
  'SBOM_DIGEST=$(oras discover -o json --artifact-type sbom/example $IMAGE | jq -r ".manifests[0].digest")';

const README_FILE = { path: 'readme.md', mediaType: 'application/markdown', text: 'Readme Content\n' };
const README_JOB: GuideJob = {
  operation: 'push',
  reference: `${R}/samples/artifact:readme`,
  artifactType: 'readme/example',
  files: [README_FILE],
};
function attachJob(artifactType: string, path: string, content: Record<string, string>, reference = IMAGE): GuideJob {
  return {
    operation: 'attach',
    reference,
    artifactType,
    files: [{ path, mediaType: 'application/json', text: spaced(content) }],
  };
}
/** JSON as the guide's lines write it: the same bytes have the same digest. */
function spaced(content: Record<string, string>): string {
  const pairs = Object.entries(content).map(([name, value]) => `"${name}": "${value}"`);
  return `{${pairs.join(', ')}}\n`;
}
const SIGNATURE_JOB = attachJob('signature/example', 'signature.json', {
  artifact: IMAGE,
  signature: 'jayden hancock',
});
const SBOM_JOB = attachJob('sbom/example', 'sbom.json', { version: '0.0.0.0', artifact: IMAGE, contents: 'good' });
const DISCOVER_JOB: GuideJob = { operation: 'discover', reference: IMAGE, format: 'tree' };
const FIND_SBOM_JOB: GuideJob = { operation: 'discover', reference: IMAGE, artifactType: 'sbom/example' };

/** All commands of the guide, in its order, below its headings. */
export const GUIDE: readonly { heading: string; commands: readonly GuideCommand[] }[] = [
  {
    heading: 'ORAS CLI Installation',
    commands: [
      {
        line: 'curl -LO https://github.com/oras-project/oras/releases/download/v1.2.3/oras_1.2.3_linux_amd64.tar.gz',
        notRun: true,
        why: ELSEWHERE,
      },
      { line: 'tar xvzf oras_1.2.3_linux_amd64.tar.gz', notRun: true, why: ELSEWHERE },
      { line: 'cp ./oras /usr/local/bin/', notRun: true, why: ELSEWHERE },
    ],
  },
  {
    heading: 'Environment Setup',
    commands: [
      { line: 'ACR_NAME=myregistry' },
      { line: 'REGISTRY=$ACR_NAME.azurecr.io' },
      { line: 'REPO=net-monitor' },
      { line: 'TAG=v1' },
      { line: 'IMAGE=$REGISTRY/${REPO}:$TAG' },
    ],
  },
  {
    heading: 'Method 1: Azure CLI Integration',
    commands: [
      {
        line: 'az login',
        notRun: true,
        why: 'Signs in to Azure; the registry has no part in it. It is enough by itself: acr-promoter exchanges its token for the registry’s, as az acr login does.',
      },
      {
        line: 'az acr login -n $ACR_NAME',
        instead:
          'echo $LOCAL_ACR_TOKEN | oras login $REGISTRY --username 00000000-0000-0000-0000-000000000000 --password-stdin',
        why: 'It exchanges an Entra token, and keeps the registry’s refresh token under the all-zero user in the Docker config; so does this.',
        prints: /^Login Succeeded$/m,
      },
    ],
  },
  {
    heading: 'Method 2: ORAS Login with Token',
    commands: [
      { line: 'USER_NAME="00000000-0000-0000-0000-000000000000"' },
      {
        line: 'PASSWORD=$(az acr login --name $ACR_NAME --expose-token --output tsv --query accessToken)',
        instead: 'PASSWORD=$LOCAL_ACR_TOKEN',
        why: 'The token comes from the local registry’s exchange of an Entra token.',
      },
      { line: LOGIN, prints: /^Login Succeeded$/m },
    ],
  },
  {
    heading: 'Method 3: Service Principal',
    commands: [
      { line: 'SERVICE_PRINCIPAL_NAME="oras-sp"' },
      {
        line: 'PASSWORD=$(az ad sp create-for-rbac --name $SERVICE_PRINCIPAL_NAME --scopes $(az acr show --name $ACR_NAME --query id --output tsv) --role acrpush --query "password" --output tsv)',
        instead: 'PASSWORD=$LOCAL_PRINCIPAL_PASSWORD',
        why: SECRET,
      },
      {
        line: 'USER_NAME=$(az ad sp list --display-name $SERVICE_PRINCIPAL_NAME --query "[].appId" --output tsv)',
        instead: 'USER_NAME=$LOCAL_PRINCIPAL_ID',
        why: SECRET,
      },
      { line: LOGIN, prints: /^Login Succeeded$/m },
    ],
  },
  {
    heading: 'Method 4: Repository-Scoped Token',
    commands: [
      { line: 'USER_NAME="oras-token"' },
      {
        line: 'PASSWORD=$(az acr token create -n $USER_NAME -r $ACR_NAME --repository $REPO content/write --only-show-errors --query "credentials.passwords[0].value" -o tsv)',
        instead: 'PASSWORD=$LOCAL_TOKEN_PASSWORD',
        why: 'As above. The local token may write every repository, since the lines below write others than net-monitor.',
      },
      { line: LOGIN, prints: /^Login Succeeded$/m },
    ],
  },
  {
    heading: 'Push a Single File',
    commands: [
      { line: "echo 'Readme Content' > readme.md" },
      {
        line: 'oras push $REGISTRY/samples/artifact:readme --artifact-type readme/example ./readme.md:application/markdown',
        prints: /^Digest: sha256:[0-9a-f]{64}$/m,
        job: README_JOB,
      },
    ],
  },
  {
    heading: 'Push Multiple Files',
    commands: [
      { line: "echo 'Readme Content' > readme.md" },
      { line: 'mkdir details/' },
      { line: "echo 'Detailed Content' > details/readme-details.md" },
      {
        line: 'oras push $REGISTRY/samples/artifact:readme --artifact-type readme/example ./readme.md:application/markdown ./details',
        prints: /^Uploaded {2}[0-9a-f]{12} details$/m,
        job: { ...README_JOB, files: [README_FILE, { path: 'details' }] },
        jobBlobs: { 'details/readme-details.md': 'Detailed Content\n' },
      },
    ],
  },
  {
    heading: '2. Pull Artifacts (`oras pull`)',
    commands: [
      { line: 'mkdir ./download' },
      {
        line: 'oras pull -o ./download $REGISTRY/samples/artifact:readme',
        prints: /^Pulled \[registry\] /m,
        job: { operation: 'pull', reference: `${R}/samples/artifact:readme`, output: 'download' },
      },
      {
        line: 'tree ./download',
        instead: 'find ./download -type f | sort',
        why: 'Not every machine has tree.',
        prints: /^\.\/download\/details\/readme-details\.md\n\.\/download\/readme\.md$/m,
      },
    ],
  },
  {
    heading: '3. Attach Referencing Artifacts (`oras attach`)',
    commands: [
      { line: SIGNATURE },
      {
        before: PUSH_IMAGE,
        line: ATTACH_SIGNATURE,
        prints: /^Attached to \[registry\] /m,
        job: SIGNATURE_JOB,
      },
    ],
  },
  {
    heading: '4. Discover References (`oras discover`)',
    commands: [{ line: 'oras discover -o tree $IMAGE', prints: /^└── signature\/example$/m, job: DISCOVER_JOB }],
  },
  {
    heading: 'Filter by Artifact Type',
    commands: [
      {
        before: `${SBOM}; ${ATTACH_SBOM}`,
        line: FIND_SBOM,
        shows: 'echo $SBOM_DIGEST',
        prints: DIGEST,
        job: FIND_SBOM_JOB,
      },
    ],
  },
  {
    heading: '5. Fetch Manifest (`oras manifest fetch`)',
    commands: [
      {
        line: 'oras manifest fetch --pretty $REGISTRY/samples/artifact:readme',
        prints: /^ {2}"artifactType": "readme\/example",$/m,
        job: { operation: 'manifest.fetch', reference: `${R}/samples/artifact:readme` },
      },
    ],
  },
  {
    heading: '6. Delete Artifacts (`oras manifest delete`)',
    commands: [
      {
        line: 'oras manifest delete $REGISTRY/samples/artifact:readme',
        input: 'y',
        prints: /Deleted \[registry\] /,
        job: { operation: 'manifest.delete', reference: `${R}/samples/artifact:readme` },
      },
    ],
  },
  {
    heading: '7. Copy Artifacts (`oras copy`)',
    commands: [
      { line: 'TARGET_REPO=$REGISTRY/sample-staging/$REPO' },
      {
        line: 'oras copy -r $IMAGE $TARGET_REPO:$TAG',
        prints: /^Copied \[registry\] \S+ => \[registry\] \S+$/m,
        job: {
          operation: 'copy',
          source: IMAGE,
          destination: `${R}/sample-staging/net-monitor:v1`,
          recursive: true,
        },
      },
    ],
  },
  {
    heading: '8. List Repository Tags (`oras repo tags`)',
    commands: [
      {
        line: 'oras repo tags $REGISTRY/$REPO',
        prints: /^v1$/m,
        job: { operation: 'tags', reference: `${R}/net-monitor` },
      },
    ],
  },
  {
    heading: 'Creating a Supply Chain Graph',
    commands: [
      {
        line: 'az acr build -r $ACR_NAME -t $IMAGE https://github.com/wabbit-networks/net-monitor.git#main',
        instead: PUSH_IMAGE,
        why: 'An image of one layer takes the place of the built one.',
        prints: /^Pushed \[registry\] /m,
      },
      { line: SIGNATURE },
      { line: ATTACH_SIGNATURE, prints: /^Attached to \[registry\] /m, job: SIGNATURE_JOB },
      { line: SBOM },
      { line: ATTACH_SBOM, prints: /^Attached to \[registry\] /m, job: SBOM_JOB },
      { line: FIND_SBOM, shows: 'echo $SBOM_DIGEST', prints: DIGEST, job: FIND_SBOM_JOB },
      {
        line: `echo '{"artifact": "'$IMAGE@$SBOM_DIGEST'", "signature": "jayden hancock"}' > sbom-signature.json`,
      },
      {
        line: "oras attach $IMAGE@$SBOM_DIGEST --artifact-type 'signature/example' ./sbom-signature.json:application/json",
        prints: /^Attached to \[registry\] /m,
        job: attachJob(
          'signature/example',
          'sbom-signature.json',
          { artifact: `${IMAGE}@<sbom-digest>`, signature: 'jayden hancock' },
          `${IMAGE}@<sbom-digest>`,
        ),
      },
      {
        line: 'oras discover -o tree $IMAGE',
        prints: /^[├└]── sbom\/example\n[│ ] {3}└── sha256:[^]*?\n[│ ] {7}└── signature\/example$/m,
        job: DISCOVER_JOB,
      },
    ],
  },
  {
    heading: 'Promoting Artifacts Across Environments',
    commands: [
      {
        line: 'oras copy -r $REGISTRY/$REPO:$TAG $REGISTRY/staging/$REPO:$TAG',
        prints: /^Copied \[registry\] \S+ => \[registry\] \S+$/m,
        job: { operation: 'copy', source: IMAGE, destination: `${R}/staging/net-monitor:v1`, recursive: true },
      },
    ],
  },
  {
    heading: 'Pulling Specific Referrers',
    commands: [
      {
        before: 'oras attach $TARGET_REPO:$TAG --artifact-type readme/example ./readme.md:application/markdown',
        line: `DOC_DIGEST=$(oras discover -o json --artifact-type 'readme/example' $TARGET_REPO:$TAG | jq -r ".manifests[0].digest")`,
        shows: 'echo $DOC_DIGEST',
        prints: DIGEST,
        job: {
          operation: 'discover',
          reference: `${R}/sample-staging/net-monitor:v1`,
          artifactType: 'readme/example',
        },
      },
      {
        line: 'oras pull -o ./download $TARGET_REPO@$DOC_DIGEST',
        prints: /^Pulled \[registry\] /m,
        job: { operation: 'pull', reference: `${R}/sample-staging/net-monitor@<doc-digest>`, output: 'download' },
      },
    ],
  },
  {
    heading: '2. Leverage Media Types',
    commands: [
      {
        before: `echo '{}' > config.json; echo data > data.tar.gz`,
        line: 'oras push $REGISTRY/artifact:v1 ./config.json:application/json ./readme.md:application/markdown ./data.tar.gz:application/gzip',
        prints: /^Pushed \[registry\] /m,
        job: {
          operation: 'push',
          reference: `${R}/artifact:v1`,
          files: [
            { path: 'config.json', mediaType: 'application/json', text: '{}\n' },
            README_FILE,
            { path: 'data.tar.gz', mediaType: 'application/gzip', base64: 'ZGF0YQo=' },
          ],
        },
      },
    ],
  },
  {
    heading: '3. Use Digests for Immutability',
    commands: [
      {
        line: 'oras pull $REGISTRY/$REPO@sha256:abc123...',
        instead: 'oras pull $REGISTRY/$REPO@$SBOM_DIGEST',
        why: 'The guide makes that digest up.',
        prints: /^Pulled \[registry\] /m,
        job: { operation: 'pull', reference: `${R}/net-monitor@<sbom-digest>` },
      },
    ],
  },
  {
    heading: '4. Tag Management',
    commands: [
      {
        line: 'oras push $REGISTRY/myapp:v1.0.0 ...',
        instead: 'oras push $REGISTRY/myapp:v1.0.0 ./readme.md',
        why: 'A file where the guide has dots.',
        prints: /^Pushed \[registry\] /m,
        job: {
          operation: 'push',
          reference: `${R}/myapp:v1.0.0`,
          files: [{ path: 'readme.md', text: 'Readme Content\n' }],
        },
      },
      {
        line: 'oras attach $REGISTRY/myapp:v1.0.0 --artifact-type signature/example ...',
        instead: 'oras attach $REGISTRY/myapp:v1.0.0 --artifact-type signature/example ./signature.json',
        why: 'A file where the guide has dots.',
        prints: /^Attached to \[registry\] /m,
        job: {
          operation: 'attach',
          reference: `${R}/myapp:v1.0.0`,
          artifactType: 'signature/example',
          files: [{ path: 'signature.json', text: spaced({ artifact: IMAGE, signature: 'jayden hancock' }) }],
        },
      },
    ],
  },
];

/** The commands in the guide's bash blocks, each on one line; its comments left out. */
export function commandsIn(guide: string): string[] {
  return [...guide.matchAll(/^```bash\n([\s\S]*?)^```/gm)].flatMap(([, block = '']) =>
    block
      .replaceAll(/\s*\\\n\s*/g, ' ')
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== '' && !line.startsWith('#')),
  );
}
