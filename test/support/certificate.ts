/**
 * A certificate of `localhost` that no authority has signed, good for a hundred years, and its key, which protects nothing:
 *
 *     openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 36500 -subj /CN=localhost \
 *       -addext subjectAltName=DNS:localhost
 */
export const SELF_SIGNED = {
  key: `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgZ4mZrc+VUcQEo0FW
zfyXEiKP12qGpKvz9IHtvVJWq4yhRANCAAQvckHryst86moqWq283COOnTqHI2hH
hT+ljoYy9Ca6zp7f7A7jXcKC6JK+R4pxsfZh0zu4i0A+CkGki9M6Y/Lj
-----END PRIVATE KEY-----`,
  cert: `-----BEGIN CERTIFICATE-----
MIIBlDCCATugAwIBAgIUWigZxNLhNzx+AlQg0NtIAwAEH9UwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyNTAzNDEwMloYDzIxMjYxMTAx
MDM0MTAyWjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAAQvckHryst86moqWq283COOnTqHI2hHhT+ljoYy9Ca6zp7f7A7jXcKC
6JK+R4pxsfZh0zu4i0A+CkGki9M6Y/Ljo2kwZzAdBgNVHQ4EFgQUryoKAbMK3180
F2vEHl5xHCdBfPswHwYDVR0jBBgwFoAUryoKAbMK3180F2vEHl5xHCdBfPswDwYD
VR0TAQH/BAUwAwEB/zAUBgNVHREEDTALgglsb2NhbGhvc3QwCgYIKoZIzj0EAwID
RwAwRAIgMyma/+DXiFKDybMWVFrjZ17vUcqSVO140w3cjlSXRlsCIC9FWwIKYqTu
vY42hLCRdXWOUCCr7yxVXjMIPp9Q1QoF
-----END CERTIFICATE-----`,
};
