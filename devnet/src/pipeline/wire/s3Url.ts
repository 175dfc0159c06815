/** How a base folder in a bucket is written: `s3://bucket/prefix`. */
export const S3_URL = /^s3:\/\/[^/]+/;
