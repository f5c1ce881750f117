#!/bin/sh
# A release as a deployment script does it: push the image, give it to the function, send everybody there. The yardstick
# of `cargo xtask bench release`, which runs it against the same stand-ins as this project's own.
#
#     AWS=aws bench/release.sh FUNCTION IMAGE TAG
#
# FUNCTION names the function and its ECR repository, IMAGE is the folder of an OCI image; the alias is `live`.
set -eu

function=$1
image=$2
tag=$3
digest=$(mktemp)
trap 'rm -f "$digest"' EXIT

aws() {
    "${AWS:-aws}" "$@"
}

repository=$(aws ecr describe-repositories --repository-names "$function" \
    --query 'repositories[0].repositoryUri' --output text)
host=${repository%%/*}
encrypted=true
case $host in
    127.0.0.1:*) encrypted=false ;;
    *) aws ecr get-login-password | skopeo login --username AWS --password-stdin "$host" ;;
esac

skopeo copy --quiet --dest-tls-verify="$encrypted" --digestfile "$digest" "oci:$image" "docker://$repository:$tag"
aws lambda update-function-code --function-name "$function" --image-uri "$repository@$(cat "$digest")" > /dev/null
aws lambda wait function-updated-v2 --function-name "$function"
version=$(aws lambda publish-version --function-name "$function" --query Version --output text)
aws lambda wait published-version-active --function-name "$function" --qualifier "$version"
aws lambda update-alias --function-name "$function" --name live --function-version "$version" > /dev/null
echo "version $version is live"
